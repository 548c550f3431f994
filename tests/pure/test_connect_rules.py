"""What is refused over Spark Connect, and addresses of servers: decided without a server."""

from __future__ import annotations

import pytest

from segengine.config import load
from segengine.connect import _address, refuse_what_connect_lacks
from segengine.errors import ConfigError, InfrastructureError
from tests import shops


@pytest.mark.parametrize(
    ("client", "server", "found"),
    [("3.5.9", "3.5.9", "This pyspark is 3.5.9"), ("4.2.0", "3.5.6", "The server is 3.5.6")],
)
def test_a_spark_without_ml_over_connect_is_refused_with_its_version(client, server, found):
    with pytest.raises(InfrastructureError, match=r"from Spark 4\.0 on") as caught:
        refuse_what_connect_lacks(None, client=client, server=server)
    assert found in str(caught.value)


@pytest.mark.parametrize("server", ["4.0.1", "4.2.0", "4.1.0-databricks", "10.0.0"])
def test_a_newer_spark_is_not_refused(server):
    refuse_what_connect_lacks(None, client="4.0.0", server=server)


@pytest.mark.parametrize(
    ("path", "output", "key"),
    [("s3a://b/lines", "out", "tables.transactions.path"), ("lines", "abfss://c@a.example/x", "output.path")],
)
def test_a_store_that_only_hadoop_reaches_is_refused_by_its_key(tmp_path, path, output, key):
    config = load(shops.write_config(tmp_path, path=path, output=output))
    with pytest.raises(ConfigError, match="cannot be listed") as caught:
        refuse_what_connect_lacks(config, client="4.2.0", server="4.2.0")
    assert f"{key}: {path if 'tables' in key else output}" in str(caught.value)


def test_folders_of_this_machine_are_not_refused(tmp_path):
    config = load(shops.write_config(tmp_path, path=f"file://{tmp_path}/lines"))
    refuse_what_connect_lacks(config, client="4.2.0", server="4.2.0")


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("sc://host", ("host", 15002)),
        ("sc://host:443/;use_ssl=true;token=t", ("host", 443)),
        ("sc://[::1]:9", ("::1", 9)),
    ],
)
def test_an_address_is_read_without_its_parameters(remote, address):
    assert _address(remote) == address


@pytest.mark.parametrize("remote", ["local[2]", "http://host:15002", "sc://", "sc://host:port", "spark://host;token=t"])
def test_what_is_no_address_of_a_connect_server_is_refused_without_being_repeated(remote):
    with pytest.raises(ConfigError, match="not the address") as caught:
        _address(remote)
    assert "token" not in str(caught.value)
