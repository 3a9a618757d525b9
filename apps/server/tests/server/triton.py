"""Asks the server at HOST:PORT with tritonclient: as it does by default, and with each of its options. Prints "all agree"."""

import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

# Enough for an answer that is worth compressing.
IMAGES = 64
PIXELS = np.random.default_rng(7).random((IMAGES, 1, 28, 28), dtype=np.float32)


def tensor(binary: bool, pixels: np.ndarray = PIXELS) -> InferInput:
    given = InferInput("image", list(pixels.shape), "FP32")
    given.set_data_from_numpy(pixels, binary_data=binary)
    return given


def check(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"{what}: no")


def main() -> None:
    client = InferenceServerClient(sys.argv[1])
    check("live and ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("mnist"))
    check("the extension is listed", "binary_tensor_data" in client.get_server_metadata()["extensions"])
    described = client.get_model_metadata("mnist")
    check("the tensors are described", [output["name"] for output in described["outputs"]] == ["probabilities", "label", "features"])

    plain = client.infer("mnist", [tensor(False)], outputs=[InferRequestedOutput(name, binary_data=False)
                                                            for name in ("probabilities", "label")])
    probabilities, label = plain.as_numpy("probabilities"), plain.as_numpy("label")
    check("shapes", probabilities.shape == (IMAGES, 10) and label.shape == (IMAGES,))
    check("types", probabilities.dtype == np.float32 and label.dtype == np.int64)
    check("labels are the best classes", bool((probabilities.argmax(axis=1) == label).all()))

    def agrees(what: str, result) -> None:
        # Numbers as text are rounded to the nearest float, which is the same one.
        check(what, np.array_equal(result.as_numpy("probabilities"), probabilities))
        check(what, np.array_equal(result.as_numpy("label"), label))

    # By default: binary tensors both ways.
    default = client.infer("mnist", [tensor(True)], request_id="mine")
    agrees("default", default)
    answer = default.get_response()
    check("the id is repeated", answer["id"] == "mine" and answer["model_version"] == "3")
    check("outputs are binary", answer["outputs"][1]["parameters"]["binary_data_size"] == IMAGES * 8)
    for encoding in ("gzip", "deflate"):
        for binary in (True, False):
            agrees(f"{encoding} {binary}", client.infer("mnist", [tensor(binary)], request_compression_algorithm=encoding,
                                                        response_compression_algorithm=encoding))
    one = client.infer("mnist", [tensor(True)], outputs=[InferRequestedOutput("label")])
    check("only the output that was asked for", [output["name"] for output in one.get_response()["outputs"]] == ["label"])
    check("the output that was asked for", np.array_equal(one.as_numpy("label"), label))
    flat = client.infer("mnist", [tensor(True, PIXELS[:2].reshape(2, 784))], model_version="3")
    check("flat", np.array_equal(flat.as_numpy("label"), label[:2]))
    later = client.async_infer("mnist", [tensor(True)]).get_result()
    agrees("asynchronous", later)

    best = client.infer("mnist", [tensor(True)], outputs=[InferRequestedOutput("probabilities", class_count=2)])
    best = best.as_numpy("probabilities")
    check("two classes for each", best.shape == (IMAGES, 2))
    check("the best comes first", [int(row[0].split(b":")[1]) for row in best] == list(label))
    index = client.get_model_repository_index()
    check("the index", index == [{"name": "mnist", "version": "3", "state": "READY", "reason": ""}])
    [counts] = client.get_inference_statistics("mnist")["model_stats"]
    check("the statistics", counts["version"] == "3" and counts["inference_stats"]["success"]["count"] == 10)
    check("all statistics", client.get_inference_statistics()["model_stats"][0]["inference_count"] >= counts["inference_count"])
    found = client.infer("mnist", [tensor(True)], outputs=[InferRequestedOutput(name) for name in ("features", "probabilities")])
    features = found.as_numpy("features")
    check("features for whoever asks", features.shape == (IMAGES, 128) and features.dtype == np.float32)
    check("beside the others", np.array_equal(found.as_numpy("probabilities"), probabilities))
    for what, says, inputs, outputs in [
        ("an output that there is not", "no output `nope`", [tensor(True)], [InferRequestedOutput("nope")]),
        ("classes of what has none", "not one number for each class", [tensor(True)], [InferRequestedOutput("label", class_count=3)]),
        ("another shape", "expected [n, 1, 28, 28]", [tensor(True, PIXELS.reshape(IMAGES * 784))], None),
    ]:
        try:
            client.infer("mnist", inputs, outputs=outputs)
        except InferenceServerException as error:
            check(f"{what}: {error}", error.status() == "400" and says in error.message())
        else:
            sys.exit(f"{what} is not refused")
    client.close()
    print("all agree")


if __name__ == "__main__":
    main()
