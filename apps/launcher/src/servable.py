"""Makes a model servable, and checks it. Runs in the program's own Python, after the program has ended on every worker.

Its only argument is a JSON object: `model` (the path of a logged model's files) or `output` (a folder with model.ts or model.pt2 and
signature.json), `into` (where the folder slipway/ goes), `program` (the folder of the program's code) and, if known, `labels`.
It writes result.json into `into`: the flavor, the engine, and why the model cannot be served or must not be registered.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import warnings

BATCHES = (1, 3)  # the converted model must agree with the original for both
TRACED = 2  # sizes 0 and 1 would be taken for constants
LENGTHS = (8, 5)  # of dynamic dimensions after the first
TOLERANCE = 1e-4
ADD_SIGNATURE = "signature=mlflow.models.infer_signature(inputs, outputs)"


class Refused(Exception):
    """The model must not be registered."""


class Unservable(Exception):
    """The model is registered, but no server of Slipway's can run it."""


def said(error):
    """The line of an error that says most: mostly the first one, but the last one of TorchScript's interpreter."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    line = lines[-1] if "TorchScript interpreter" in lines[0] else lines[0]
    return f"{type(error).__name__}: {line.strip()[:500]}"


# ---- tensors -------------------------------------------------------------------------------------------------------------------------


def datatypes():
    """The datatypes of the Open Inference Protocol."""
    import torch

    return {
        "BOOL": torch.bool, "UINT8": torch.uint8, "INT8": torch.int8, "INT16": torch.int16, "INT32": torch.int32, "INT64": torch.int64,
        "FP16": torch.float16, "BF16": torch.bfloat16, "FP32": torch.float32, "FP64": torch.float64,
    }


def datatype(dtype):
    for name, known in datatypes().items():
        if known == dtype:
            return name
    raise Unservable(f"a server cannot answer with tensors of {dtype}")


def example(inputs, batch, length, zero=False):
    """Tensors of these inputs' types and shapes; whole numbers are 0 or 1, which every vocabulary has."""
    import torch

    tensors = []
    for spec in inputs:
        shape = [batch if at == 0 else length if size < 0 else size for at, size in enumerate(spec["shape"])]
        dtype = datatypes()[spec["datatype"]]
        if zero:
            tensors.append(torch.zeros(shape, dtype=dtype))
        elif dtype.is_floating_point:
            tensors.append(torch.randn(shape).to(dtype))
        else:
            tensors.append(torch.randint(0, 2, shape).to(dtype))
    return tuple(tensors)


def flat(answer):
    """A model's answer as names and tensors; a name is None if the answer has none."""
    import torch

    if isinstance(answer, torch.Tensor):
        return [(None, answer)]
    if isinstance(answer, dict):
        answer = list(answer.items())
    elif isinstance(answer, (list, tuple)):
        answer = [(None, value) for value in answer]
    else:
        answer = []
    if not answer or not all(isinstance(value, torch.Tensor) for _, value in answer):
        raise Unservable("its answer is neither a tensor, nor a list, a tuple or a dict of tensors")
    return answer


def finite(tensors):
    return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor.is_floating_point())


def run(module, tensors):
    import torch

    with torch.no_grad():
        return flat(module(*tensors))


def output_specs(module, inputs, names):
    """Names, types and shapes of the outputs; a dimension that follows the inputs is -1."""
    answers = [run(module, example(inputs, batch, length)) for batch, length in zip(BATCHES, LENGTHS)]
    specs = []
    for at, pair in enumerate(zip(*answers)):
        (name, first), (_, second) = pair
        if first.dim() != second.dim() or first.dim() == 0 or (first.shape[0], second.shape[0]) != BATCHES:
            raise Unservable(f"output {at} has the shapes {list(first.shape)} and {list(second.shape)} for {BATCHES[0]} and "
                             f"{BATCHES[1]} rows: its first dimension must be the number of rows")
        shape = [a if a == b else -1 for a, b in zip(first.shape, second.shape)]
        name = names[at] if at < len(names) and names[at] else name or ("output" if len(answers[0]) == 1 else f"output_{at}")
        specs.append({"name": str(name), "datatype": datatype(first.dtype), "shape": shape})
    return specs


# ---- TorchScript ---------------------------------------------------------------------------------------------------------------------


def check_agreement(original, converted, inputs):
    import torch

    for batch, length in zip(BATCHES, LENGTHS):
        tensors = example(inputs, batch, length)
        for (_, expected), (_, found) in zip(run(original, tensors), run(converted, tensors), strict=True):
            if expected.shape != found.shape or expected.dtype != found.dtype:
                raise Unservable(f"for {batch} rows it answers {found.dtype} {list(found.shape)} instead of {expected.dtype} "
                                 f"{list(expected.shape)}")
            if not torch.allclose(expected.double(), found.double(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                worst = (expected.double() - found.double()).abs().max().item()
                raise Unservable(f"for {batch} rows its answer differs by {worst:.3g}, and {TOLERANCE} is allowed")


def to_torchscript(module, inputs):
    """TorchScript of a module, by scripting or else by tracing, which agrees with the module."""
    import torch

    class Tuple(torch.nn.Module):
        """Answers with a tensor or a tuple of tensors, whatever the module answers with."""

        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, *tensors):
            values = tuple(value for _, value in flat(self.module(*tensors)))
            return values[0] if len(values) == 1 else values

    def traced():
        with torch.no_grad():
            return torch.jit.trace(Tuple(), example(inputs, TRACED, LENGTHS[0]), check_trace=False, strict=False)

    if isinstance(module, torch.jit.ScriptModule):
        ways = {"as it is": lambda: module}
    elif isinstance(module, torch.fx.GraphModule):  # an exported program
        ways = {"traced": traced}
    else:
        ways = {"scripted": lambda: torch.jit.script(module), "traced": traced}
    reasons = []
    for way, convert in ways.items():
        try:
            converted = convert()
            check_agreement(module, converted, inputs)
            if isinstance(run_raw(converted, inputs), dict):
                raise Unservable("it answers with a dict")
            return converted
        except Exception as error:
            reasons.append(f"{way}: {error if isinstance(error, Unservable) else said(error)}")
    # what was fixed when the model was exported, such as the number of rows, is not in the module itself
    hint = "; log it with serialization_format='pickle', or leave model.pt2 in SLIPWAY_OUTPUT" if isinstance(module, torch.fx.GraphModule) else ""
    raise Unservable(f"it cannot be converted to TorchScript ({'; '.join(reasons)}){hint}")


def run_raw(module, inputs):
    import torch

    with torch.no_grad():
        return module(*example(inputs, *next(zip(BATCHES, LENGTHS))))


# ---- logged models -------------------------------------------------------------------------------------------------------------------


def inputs_of(signature):
    """A signature's inputs. Columns of numbers become one tensor, as mlflow.pytorch passes them to the module."""
    import numpy
    import torch

    schema = signature.inputs
    if not schema.is_tensor_spec():
        columns = schema.inputs
        numeric = {"integer", "long", "float", "double", "boolean"}
        if not all(getattr(column.type, "name", "") in numeric for column in columns):
            raise Unservable("its signature has columns that are not numbers")
        return [{"name": "input", "datatype": "FP32", "shape": [-1, len(columns)]}]
    specs = []
    for at, spec in enumerate(schema.inputs):
        name = spec.name or ("input" if len(schema.inputs) == 1 else f"input_{at}")
        try:
            dtype = torch.from_numpy(numpy.zeros(1, dtype=spec.type)).dtype
        except TypeError:
            raise Unservable(f"its input `{name}` is of {spec.type}, which no tensor is") from None
        specs.append({"name": name, "datatype": datatype(dtype), "shape": [int(size) for size in spec.shape]})
    return specs


def output_names(signature):
    outputs = signature.outputs
    return [spec.name for spec in outputs.inputs] if outputs is not None and outputs.is_tensor_spec() else []


def pytorch(path, signature, into, labels):
    """Writes slipway/ for a logged model of PyTorch."""
    import mlflow.pytorch
    import torch

    exported = not os.path.exists(os.path.join(path, "data", "model.pth"))
    module = mlflow.pytorch.load_model(path, **({} if exported else {"map_location": "cpu"}))
    if isinstance(module, torch.nn.parallel.DistributedDataParallel):
        module = module.module
    if not exported:
        module.eval()
    inputs = inputs_of(signature)
    zero = example(inputs, 1, LENGTHS[0], zero=True)
    try:
        answers = run(module, zero)
    except Unservable:
        raise
    except Exception as error:
        shapes = ", ".join(f"{spec['name']}: {spec['datatype']} {spec['shape']}" for spec in inputs)
        raise Refused(f"the model cannot answer a request of its own signature ({shapes}): {said(error)}") from error
    if not finite(tensor for _, tensor in answers):
        raise Refused("the model's answer to an input of zeros is not finite (NaN or infinity)")
    for spec in inputs:
        if not spec["shape"] or spec["shape"][0] != -1:
            raise Unservable(f"the first dimension of its input `{spec['name']}` is not dynamic: infer its signature from several rows")
    try:
        outputs = output_specs(module, inputs, output_names(signature))
    except Unservable:
        raise
    except Exception as error:
        hint = "; log it with an input_example of two rows or more" if exported else ""
        raise Unservable(f"it does not answer {BATCHES[1]} rows at once: {said(error)}{hint}") from error
    converted = to_torchscript(module, inputs)
    folder = os.path.join(into, "slipway")
    os.makedirs(folder)
    converted.save(os.path.join(folder, "model.ts"))
    write_description(folder, "torchscript", "model.ts", inputs, outputs, labels)
    return "torchscript"


def write_description(folder, engine, file, inputs, outputs, labels):
    description = {"engine": engine, "file": file, "inputs": inputs, "outputs": outputs}
    if labels and len(outputs) == 1 and len(outputs[0]["shape"]) == 2 and outputs[0]["shape"][1] == len(labels):
        description["labels"] = labels
    with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as to:
        json.dump(description, to, ensure_ascii=False)


def zeros_for(signature):
    """An input of zeros for mlflow.pyfunc."""
    import numpy
    import pandas

    schema = signature.inputs
    if schema.is_tensor_spec():
        arrays = {spec.name: numpy.zeros([1 if size < 0 else size for size in spec.shape], dtype=spec.type) for spec in schema.inputs}
        return next(iter(arrays.values())) if list(arrays) == [None] else arrays
    zeros = {}
    for column in schema.inputs:
        kind = getattr(column.type, "name", "")
        kinds = {"boolean": False, "integer": numpy.int32(0), "long": numpy.int64(0), "float": numpy.float32(0), "double": 0.0}
        zeros[column.name] = kinds.get(kind, pandas.Timestamp(0) if kind == "datetime" else b"" if kind == "binary" else "")
    return pandas.DataFrame([zeros])


def numbers(answer):
    """The floating-point arrays in an answer of mlflow.pyfunc."""
    import numpy
    import pandas

    if isinstance(answer, dict):
        return [array for value in answer.values() for array in numbers(value)]
    if isinstance(answer, (pandas.DataFrame, pandas.Series)):
        frame = pandas.DataFrame(answer).select_dtypes("number")
        return [frame.to_numpy(dtype=float)] if len(frame.columns) else []
    array = numpy.asarray(answer.detach() if hasattr(answer, "detach") else answer)
    return [array] if array.dtype.kind == "f" else []


def pyfunc(path, signature):
    """Checks a model that only MLflow can run."""
    import mlflow.pyfunc
    import numpy

    model = mlflow.pyfunc.load_model(path)
    try:
        answer = model.predict(zeros_for(signature))
    except Exception as error:
        raise Refused(f"the model cannot answer a request of its own signature: {said(error)}") from error
    if not all(numpy.isfinite(array).all() for array in numbers(answer)):
        raise Refused("the model's answer to an input of zeros is not finite (NaN or infinity)")


def logged(task, result):
    from mlflow.models import Model

    path = task["model"]
    model = Model.load(path)
    flavors = [name for name in model.flavors if name != "python_function"]
    result["flavor"] = "pytorch" if "pytorch" in flavors else next(iter(flavors), "python_function")
    if model.signature is None or model.signature.inputs is None:
        raise Refused(f"the model has no signature; add it where the program logs the model: log_model(…, {ADD_SIGNATURE})")
    if result["flavor"] == "pytorch":
        result["engine"] = pytorch(path, model.signature, task["into"], task.get("labels"))
    else:
        pyfunc(path, model.signature)
        raise Unservable(f"no server of Slipway's runs models of {result['flavor']}")


# ---- files in SLIPWAY_OUTPUT ---------------------------------------------------------------------------------------------------------


def files(task, result):
    import torch

    folder = task["output"]
    file = task["file"]
    result["flavor"] = "torchscript" if file == "model.ts" else "aotinductor"
    try:
        with open(os.path.join(folder, "signature.json"), encoding="utf-8") as opened:
            signature = json.load(opened)
        inputs, expected = signature["inputs"], signature["outputs"]
        for spec in (*inputs, *expected):
            if not isinstance(spec["name"], str) or spec["datatype"] not in datatypes() or not all(type(n) is int for n in spec["shape"]):
                raise ValueError(f"{json.dumps(spec)} is not a name, a datatype and a shape")
            if spec["shape"][:1] != [-1]:
                raise ValueError(f"the first dimension of `{spec['name']}` must be -1, the number of rows")
    except FileNotFoundError:
        raise Refused('there is no signature.json beside it: write {"inputs": [{"name": "image", "datatype": "FP32", '
                      '"shape": [-1, 1, 28, 28]}], "outputs": [...]} to $SLIPWAY_OUTPUT/signature.json') from None
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"signature.json: {said(error)}") from error
    source = os.path.join(folder, file)
    if file == "model.ts":
        module = torch.jit.load(source, map_location="cpu").eval()
    else:
        module = torch._inductor.aoti_load_package(source)
    try:
        found = output_specs(module, inputs, [spec["name"] for spec in expected])
        zeros = run(module, example(inputs, 1, LENGTHS[0], zero=True))
    except Exception as error:
        raise Refused(f"the model cannot answer a request of its own signature: {error if isinstance(error, Unservable) else said(error)}") \
            from error
    if not finite(tensor for _, tensor in zeros):
        raise Refused("the model's answer to an input of zeros is not finite (NaN or infinity)")
    if len(found) != len(expected):
        raise Refused(f"signature.json names {len(expected)} outputs, and the model answers with {len(found)}")
    for says, does in zip(expected, found):
        agrees = says["datatype"] == does["datatype"] and len(says["shape"]) == len(does["shape"]) and all(
            a in (-1, b) for a, b in zip(says["shape"], does["shape"]))
        if not agrees:
            raise Refused(f"signature.json says that `{says['name']}` is {says['datatype']} {says['shape']}, and the model answers "
                          f"{does['datatype']} {does['shape']}")
    target = os.path.join(task["into"], "slipway")
    os.makedirs(target)
    shutil.copyfile(source, os.path.join(target, file))
    result["engine"] = result["flavor"]
    write_description(target, result["engine"], file, inputs, expected, signature.get("labels") or task.get("labels"))


def main():
    task = json.loads(sys.argv[1])
    sys.path.insert(0, task["program"])  # a pickled model imports the program's own modules
    warnings.simplefilter("ignore")
    result = {}
    try:
        # what the program's classes print while they are loaded is of no use here
        with contextlib.redirect_stdout(io.StringIO()):
            (files if "output" in task else logged)(task, result)
    except Unservable as error:
        result["unservable"] = str(error)
    except Refused as error:
        result["refused"] = str(error)
    except Exception as error:
        result["refused"] = f"the model cannot be loaded: {said(error)}"
    with open(os.path.join(task["into"], "result.json"), "w", encoding="utf-8") as to:
        json.dump(result, to)


if __name__ == "__main__":
    main()
