"""Asks the server at HOST:PORT over gRPC with tritonclient: as it does by default, and with its options. Prints "all agree"."""

import queue
import sys

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

IMAGES = 64
PIXELS = np.random.default_rng(7).random((IMAGES, 1, 28, 28), dtype=np.float32)


def tensor(pixels: np.ndarray = PIXELS, name: str = "image", datatype: str = "FP32") -> InferInput:
    given = InferInput(name, list(pixels.shape), datatype)
    given.set_data_from_numpy(pixels)
    return given


def check(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"{what}: no")


def main() -> None:
    client = InferenceServerClient(sys.argv[1])
    check("live and ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("mnist"))
    check("a version that is not there", not client.is_model_ready("mnist", "9"))
    check("the extensions are listed", "statistics" in client.get_server_metadata().extensions)
    described = client.get_model_metadata("mnist")
    check("the tensors are described", [output.name for output in described.outputs] == ["probabilities", "label", "features"])
    check("the shape is described", list(described.inputs[0].shape) == [-1, 1, 28, 28] and list(described.versions) == ["3"])

    default = client.infer("mnist", [tensor()], request_id="mine")
    probabilities, label = default.as_numpy("probabilities"), default.as_numpy("label")
    check("shapes", probabilities.shape == (IMAGES, 10) and label.shape == (IMAGES,))
    check("labels are the best classes", bool((probabilities.argmax(axis=1) == label).all()))
    check("the id is repeated", default.get_response().id == "mine" and default.get_response().model_version == "3")
    packed = client.infer("mnist", [tensor()], compression_algorithm="gzip")
    check("compressed", np.array_equal(packed.as_numpy("probabilities"), probabilities))
    one = client.infer("mnist", [tensor(PIXELS[:2].reshape(2, 784))], model_version="3", outputs=[InferRequestedOutput("label")])
    check("the output that was asked for", [output.name for output in one.get_response().outputs] == ["label"])
    check("flat", np.array_equal(one.as_numpy("label"), label[:2]))
    best = client.infer("mnist", [tensor()], outputs=[InferRequestedOutput("probabilities", class_count=2)]).as_numpy("probabilities")
    check("classes", best.shape == (IMAGES, 2) and [int(row[0].split(b":")[1]) for row in best] == list(label))

    results = queue.Queue()
    client.async_infer("mnist", [tensor()], callback=lambda result, error: results.put((result, error)))
    result, error = results.get(timeout=20)
    check(f"asynchronous: {error}", error is None and np.array_equal(result.as_numpy("label"), label))
    client.start_stream(callback=lambda result, error: results.put((result, error)))
    for count in (1, 2, 3):
        client.async_stream_infer("mnist", [tensor(PIXELS[:count])], request_id=str(count))
    client.async_stream_infer("mnist", [tensor(PIXELS.reshape(-1))])
    for count in (1, 2, 3):
        result, error = results.get(timeout=20)
        check(f"in a stream: {error}", error is None and result.get_response().id == str(count))
        check("the stream's answers", np.array_equal(result.as_numpy("label"), label[:count]))
    _, error = results.get(timeout=20)
    check(f"a refusal in a stream: {error}", "expected [n, 1, 28, 28]" in str(error))
    client.stop_stream()

    [index] = client.get_model_repository_index().models
    check("the index", (index.name, index.version, index.state) == ("mnist", "3", "READY"))
    [counts] = client.get_inference_statistics("mnist").model_stats
    check("the statistics", counts.inference_stats.success.count == 8 and counts.memory_usage[0].byte_size > 0)
    found = client.infer("mnist", [tensor()], outputs=[InferRequestedOutput(name) for name in ("features", "probabilities")])
    features = found.as_numpy("features")
    check("features for whoever asks", features.shape == (IMAGES, 128) and features.dtype == np.float32)
    check("beside the others", np.array_equal(found.as_numpy("probabilities"), probabilities))
    check("not for others", [output.name for output in default.get_response().outputs] == ["probabilities", "label"])
    for what, code, says, name, inputs in [
        ("a model that there is not", "NOT_FOUND", "in service: mnist", "cifar", [tensor()]),
        ("another shape", "INVALID_ARGUMENT", "expected [n, 1, 28, 28]", "mnist", [tensor(PIXELS.reshape(-1))]),
        ("another type", "INVALID_ARGUMENT", "expected FP32", "mnist", [tensor(PIXELS.astype(np.float64), datatype="FP64")]),
        ("another name", "INVALID_ARGUMENT", "expected image", "mnist", [tensor(name="picture")]),
        ("too many", "RESOURCE_EXHAUSTED", "at most 64", "mnist", [tensor(np.zeros((65, 784), np.float32))]),
        ("too long", "RESOURCE_EXHAUSTED", "longer than 4 MiB", "mnist", [tensor(np.zeros((2048, 784), np.float32))]),
    ]:
        try:
            client.infer(name, inputs)
        except InferenceServerException as error:
            check(f"{what}: {error}", code in error.status() and says in error.message())
        else:
            sys.exit(f"{what} is not refused")
    client.close()
    print("all agree")


if __name__ == "__main__":
    main()
