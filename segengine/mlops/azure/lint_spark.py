"""What serverless Spark would refuse only when a job runs. Our own files have no Spark component; others may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from segengine.mlops.azure.documents import Component

__all__ = ["spark_faults"]

SIZES = ("spark.driver.cores", "spark.driver.memory", "spark.executor.cores", "spark.executor.memory")


def spark_faults(component: Component) -> Iterator[tuple[str, str]]:
    """Path of keys and text of each fault of a Spark component; nothing for others."""
    data = component.data
    if data.get("type") != "spark":
        return
    entry = data.get("entry")
    file = entry.get("file") if isinstance(entry, dict) else None
    code = component.file.parent / str(data.get("code", "."))
    if file and not (code / str(file)).is_file():
        yield "entry.file", f"there is no {file} in {data.get('code', '.')}"
    conf = data.get("conf") if isinstance(data.get("conf"), dict) else {}
    assert isinstance(conf, Mapping)
    sizes = {key: conf.get(key, data.get(_flat(key))) for key in SIZES}
    missing = [key for key, value in sizes.items() if value is None]
    if missing:
        yield "conf", f"Spark is not told {', '.join(missing)}"
    yield from _executors(data, conf)
    for kind in ("inputs", "outputs"):
        declared = component.inputs if kind == "inputs" else component.outputs
        for name, value in declared.items():
            if str(value.get("type", "")).startswith("uri_") and value.get("mode") != "direct":
                yield f"{kind}.{name}.mode", f"Spark takes folders as they are (direct), not {value.get('mode')}"


def _executors(data: Mapping[str, object], conf: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    instances = conf.get("spark.executor.instances", data.get("executor_instances"))
    prefix = "spark.dynamicAllocation."
    dynamic = str(conf.get(f"{prefix}enabled", data.get("dynamic_allocation_enabled", False))).lower() == "true"
    least = conf.get(f"{prefix}minExecutors", data.get("dynamic_allocation_min_executors"))
    most = conf.get(f"{prefix}maxExecutors", data.get("dynamic_allocation_max_executors"))
    if dynamic and (least is None or most is None):
        yield "conf", "dynamicAllocation needs minExecutors and maxExecutors"
    if not dynamic and instances is None:
        yield "conf", "Spark is not told spark.executor.instances"


def _flat(key: str) -> str:
    """spark.driver.cores as the YAML also knows it: driver_cores."""
    return key.removeprefix("spark.").replace(".", "_")
