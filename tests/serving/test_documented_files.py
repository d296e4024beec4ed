"""The files that docs/serving.md quotes and that a server reads.

No server is installed where the tests run: the files are read by what can be, and
checked against the rules in the server's sources.
"""

import re

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

# Of tensorflow_serving/servables/tensorflow/session_bundle_config.proto, which
# tensorflow-serving-api does not hold. Text names the fields: numbers do not matter.
PARAMETERS = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
}


@pytest.fixture(scope="module")
def page(repository_root):
    return (repository_root / "docs" / "serving.md").read_text("utf-8")


@pytest.fixture(scope="module")
def batching(repository_root):
    """The file as the server's message, tensorflow.serving.BatchingParameters."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto",
        package="test",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for number, (name, kind) in enumerate(PARAMETERS.items(), 1):
        message.field.add(
            name=name,
            number=number,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
            type_name=f".google.protobuf.{kind}",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    kind = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("test.BatchingParameters")
    )
    text = (repository_root / "docs" / "serving" / "batching.txt").read_text("utf-8")
    return text_format.Parse(text, kind())


@pytest.mark.parametrize(
    ("language", "name"), [("text", "batching.txt"), ("yaml", "compose.yaml")]
)
def test_the_page_quotes_the_file(repository_root, page, language, name):
    file = repository_root / "docs" / "serving" / name
    assert f"\n```{language}\n{file.read_text('utf-8')}```\n" in page
    assert f"(serving/{name})" in page


def test_batches_are_small_and_larger_requests_are_split(batching):
    assert batching.enable_large_batch_splitting.value
    assert batching.max_execution_batch_size.value == 4
    assert batching.max_batch_size.value > 4


def test_a_request_of_the_most_photos_fits_into_the_queue(batching):
    waiting = batching.max_enqueued_batches.value
    places = waiting * batching.max_execution_batch_size.value
    assert places >= batching.max_batch_size.value
    assert batching.num_batch_threads.value >= 1


def test_docker_run_and_compose_start_the_same_server(repository_root, page):
    compose = (repository_root / "docs" / "serving" / "compose.yaml").read_text("utf-8")
    [run] = re.findall(r"^docker run --rm -p .*?(?=^```$)", page, re.M | re.S)
    for pattern in (
        r"tensorflow/serving:([\w.-]+)",
        r"MODEL_NAME[=:] ?(\w+)",
        r"\b(\d+:\d+)\b",
        r"""source[=:] ?(?:"\$PWD|\.)/([\w./]+)""",
        r"target[=:] ?([\w./]+)",
        r"--(enable_\w+)",
        r"--(\w+_file=\S+)",
    ):
        started = re.findall(pattern, run)
        assert started, pattern
        assert sorted(started) == sorted(re.findall(pattern, compose)), pattern


def test_the_page_names_one_image(page):
    [tag] = set(re.findall(r"tensorflow/serving:([\w.-]+)", page))
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)
