"""The output folder must be one that Spark sees too: asked with a file before any work is done."""

from __future__ import annotations

import pytest

from segengine.connect import is_connect, require_shared_output
from segengine.errors import InfrastructureError
from segengine.io.files import LocalStore


def test_a_file_that_spark_reads_as_it_was_written_is_enough(spark, tmp_path):
    store = LocalStore(str(tmp_path / "out"))
    text = '{"name": "Zoë",\n "rows": 3}'
    store.write_atomic("runs/one.json", text.encode())
    require_shared_output(spark, store, "runs/one.json", text)
    assert not is_connect(spark)


@pytest.mark.parametrize("there", [b"", b"another", None])
def test_a_file_that_spark_does_not_see_or_sees_otherwise_is_one_message(spark, tmp_path, there):
    store = LocalStore(str(tmp_path / "out"))
    if there is not None:
        store.write_atomic("runs/one.json", there)
    with pytest.raises(InfrastructureError, match="does not see the output folder") as caught:
        require_shared_output(spark, store, "runs/one.json", "what was written")
    assert str(tmp_path) in str(caught.value)
