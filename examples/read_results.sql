-- Reads what is published now, with DuckDB: duckdb -init examples/read_results.sql   (in the folder that holds out/)
SET VARIABLE gold = 'out/gold/';
SET VARIABLE now = (SELECT getvariable('gold') || folder FROM read_json(getvariable('gold') || 'current.json'));

-- Which segments earn the money?
SELECT segment_id, name, customers, share, revenue, revenue_share
FROM read_parquet(getvariable('now') || '/segments/*.parquet')
ORDER BY rank;

-- In what are they unlike all the others? The three features that stand out most.
SELECT s.segment_id, p.feature, round(p.mean, 2) AS mean, p.unit, round(p.z, 2) AS z
FROM read_parquet(getvariable('now') || '/segment_profiles/*.parquet') AS p
JOIN read_parquet(getvariable('now') || '/segments/*.parquet') AS s USING (segment_key)
QUALIFY row_number() OVER (PARTITION BY s.segment_id ORDER BY abs(p.z) DESC NULLS LAST, p.feature) <= 3
ORDER BY s.segment_id, abs(p.z) DESC;

-- The customers nearest to a border: a little more or less, and they are elsewhere.
SELECT c.customer_id, s.segment_id, round(a.margin, 3) AS margin
FROM read_parquet(getvariable('now') || '/assignments/*.parquet') AS a
JOIN read_parquet(getvariable('now') || '/customers/*.parquet') AS c USING (customer_key)
JOIN read_parquet(getvariable('now') || '/segments/*.parquet') AS s USING (segment_key)
ORDER BY a.margin, c.customer_id
LIMIT 10;
