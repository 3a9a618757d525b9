//! `slipway/model.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, TensorSpec};

/// The folder of a version that holds what a server runs.
pub const FOLDER: &str = "slipway";
/// The file in a version's folder that says how a server runs it.
pub const MODEL_FILE: &str = "slipway/model.json";

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// TorchScript, which `torch.jit.save` writes.
    TorchScript,
    /// A compiled package, which `torch._inductor.aoti_compile_and_package` writes.
    AotInductor,
}

/// How a server runs a model, and the tensors that go in and come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servable {
    /// What runs it.
    pub engine: Engine,
    /// The file with the model: its path in the folder [`FOLDER`].
    pub file: String,
    /// What it takes, in the order of its arguments.
    pub inputs: Vec<TensorSpec>,
    /// What it gives, in order.
    pub outputs: Vec<TensorSpec>,
    /// The names of the classes, by their index. Empty if they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl Engine {
    /// Its name in `model.json` and in the tag `slipway.engine`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TorchScript => "torchscript",
            Self::AotInductor => "aotinductor",
        }
    }
}

impl Servable {
    /// Reads [`MODEL_FILE`] of a version's folder.
    ///
    /// # Errors
    /// When it cannot be read or is not valid, or the file that it names is not there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MODEL_FILE);
        let servable = Self::parse(&std::fs::read(&path).map_err(Error::read(&path))?)?;
        if !servable.path(folder).is_file() {
            return Err(Error::invalid(MODEL_FILE, format!("file is `{}`, which is not there", servable.file)));
        }
        Ok(servable)
    }

    /// Reads the content of [`MODEL_FILE`].
    ///
    /// # Errors
    /// [`Error::Invalid`] with the line and column, or with the path of the wrong value.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let servable: Self =
            serde_json::from_slice(json).map_err(|error| Error::invalid(MODEL_FILE, error.to_string()))?;
        servable.problem().map_or(Ok(servable), |problem| Err(Error::invalid(MODEL_FILE, problem)))
    }

    /// The content of [`MODEL_FILE`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when [`Self::parse`] would not read it.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let problem = self.problem();
        let json = problem.map_or_else(|| serde_json::to_vec(self).map_err(|error| error.to_string()), Err);
        json.map_err(|problem| Error::invalid(MODEL_FILE, problem))
    }

    /// Where the model's file is in a version's folder.
    #[must_use]
    pub fn path(&self, folder: &Path) -> std::path::PathBuf {
        folder.join(FOLDER).join(&self.file)
    }

    /// Whether several requests can be one batch: the first dimension of every tensor has any size.
    #[must_use]
    pub fn is_batched(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).all(TensorSpec::is_batched)
    }

    fn problem(&self) -> Option<String> {
        if !is_file_name(&self.file) || Path::new(FOLDER).join(&self.file) == Path::new(MODEL_FILE) {
            return Some(format!(
                "file is `{}`; it must name another file in the same folder, such as model.ts",
                self.file.escape_default()
            ));
        }
        for (list, tensors) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if tensors.is_empty() {
                return Some(format!("{list} is empty; a model has at least one"));
            }
            for (at, tensor) in tensors.iter().enumerate() {
                if let Some(problem) = tensor.problem() {
                    return Some(format!("{list}[{at}] `{}`: {problem}", tensor.name));
                }
                if let Some(first) = tensors[..at].iter().position(|other| other.name == tensor.name) {
                    return Some(format!("{list}[{at}] has the name of {list}[{first}], `{}`", tensor.name));
                }
            }
        }
        let labels = self.labels.len() as i64;
        let lasts = || self.outputs.iter().filter_map(|output| output.shape.last());
        if labels > 0 && !lasts().any(|last| *last == -1 || *last == labels) {
            return Some(format!("there are {labels} labels, but no output has {labels} as its last dimension"));
        }
        None
    }
}

/// Whether a path names a file inside a folder on every system, in one way only.
fn is_file_name(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datatype;

    const GOOD: &str = r#"{"engine":"torchscript","file":"model.ts","inputs":[{"name":"image","datatype":"FP32","shape":[-1,1,28,28]}],"outputs":[{"name":"logits","datatype":"FP32","shape":[-1,2]}],"labels":["T-shirt","Trouser"]}"#;

    #[test]
    fn what_is_written_is_read_back() {
        let good = Servable::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(good.inputs, [TensorSpec::new("image", Datatype::Fp32, [-1, 1, 28, 28])]);
        assert_eq!((good.engine, good.labels.len(), good.is_batched()), (Engine::TorchScript, 2, true));
        assert_eq!(String::from_utf8(good.to_json().unwrap()).unwrap(), GOOD);
        let compiled = GOOD.replace("torchscript", "aotinductor").replace(r#","labels":["T-shirt","Trouser"]"#, "");
        let compiled = Servable::parse(compiled.as_bytes()).unwrap();
        assert_eq!((compiled.engine.as_str(), compiled.labels), ("aotinductor", Vec::new()));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (from, to, says) in [
            ("{", "", "line 1 column"),
            ("torchscript", "onnx", "unknown variant `onnx`, expected `torchscript` or `aotinductor` at line 1 column"),
            (r#""file""#, r#""files""#, "unknown field `files`"),
            ("model.ts", "../x.ts", "file is `../x.ts`; it must name another file in the same folder"),
            ("model.ts", "/etc/passwd", "it must name another file"),
            ("model.ts", "model.json", "it must name another file"),
            ("model.ts", "", "it must name another file"),
            (r#"FP32","shape":[-1,1"#, r#"BYTES","shape":[-1,1"#, "the datatype BYTES has no tensor in libtorch"),
            (r#"FP32","shape":[-1,1"#, r#"float","shape":[-1,1"#, "`float` is not a datatype"),
            ("[-1,1,28,28]", "[-1,1,28,0]", "inputs[0] `image`: shape[3] is 0; use a size of at least 1"),
            ("[-1,1,28,28]", "[-2]", "shape[0] is -2"),
            ("[-1,1,28,28]", "[4294967296,4294967296]", "more elements than fit into memory"),
            (r#""name":"image""#, r#""name":"""#, "inputs[0] ``: its name is empty"),
            (
                r#"[{"name":"logits""#,
                r#"[{"name":"logits","datatype":"FP32","shape":[]},{"name":"logits""#,
                "outputs[1] has the name of outputs[0], `logits`",
            ),
            (r#"[{"name":"image","datatype":"FP32","shape":[-1,1,28,28]}]"#, "[]", "inputs is empty"),
            (r#","Trouser""#, "", "there are 1 labels, but no output has 1 as its last dimension"),
            ("[-1,1,28,28]", r#"[-1,2],"columns":["a"]"#, "it has 1 columns, but its last dimension is 2"),
            ("[-1,1,28,28]", r#"[-1,2],"columns":["a","a"]"#, "the column `a` is named twice"),
        ] {
            let error = Servable::parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("slipway/model.json: ") && error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn the_file_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let error = || Servable::read(folder.path()).unwrap_err().to_string();
        assert!(error().contains("cannot read") && error().contains("slipway/model.json"), "{}", error());
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        std::fs::write(folder.path().join(MODEL_FILE), GOOD).unwrap();
        assert_eq!(error(), "slipway/model.json: file is `model.ts`, which is not there");
        std::fs::write(folder.path().join("slipway/model.ts"), "").unwrap();
        assert_eq!(Servable::read(folder.path()).unwrap().path(Path::new("v")), Path::new("v/slipway/model.ts"));
    }
}
