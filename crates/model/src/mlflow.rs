//! The files that make a bundle an MLflow model directory of flavour `pytorch`, which `mlflow.pyfunc.load_model` takes.

use crate::Config;

/// Module that MLflow hands to `torch.load` as its unpickler; TorchScript does not use it, but the file must name one.
pub(crate) const PICKLE_MODULE: &str = "mlflow.pytorch.pickle_module";

/// Version of libtorch that writes the TorchScript.
const TORCH_VERSION: &str = "2.13.0";

/// Content of the file `MLmodel`, with a tensor signature: float32 images [n, c, h, w] to probabilities [n, classes]. The tensors have no
/// names, because MLflow would pass a named tensor to its PyTorch flavour as a dictionary, which the flavour refuses.
pub(crate) fn mlmodel(config: &Config) -> String {
    let [c, h, w] = config.input;
    let classes = config.classes;
    format!(
        "flavors:\n  \
           python_function:\n    \
             data: data\n    \
             loader_module: mlflow.pytorch\n    \
             pickle_module_name: {PICKLE_MODULE}\n    \
             python_version: 3.11.0\n  \
           pytorch:\n    \
             model_data: data\n    \
             pytorch_version: {TORCH_VERSION}\n\
         signature:\n  \
           inputs: '[{{\"type\": \"tensor\", \"tensor-spec\": {{\"dtype\": \"float32\", \"shape\": [-1, {c}, {h}, {w}]}}}}]'\n  \
           outputs: '[{{\"type\": \"tensor\", \"tensor-spec\": {{\"dtype\": \"float32\", \"shape\": [-1, {classes}]}}}}]'\n  \
           params: null\n"
    )
}
