//! A trained model on disk.

use std::path::Path;

use slipway_signature::{CONFIG_FILE, WEIGHTS_FILE};
use tch::{CModule, Device, Kind, Tensor};

use crate::{Config, Error, Model, Result, mlflow};

/// The same network as TorchScript: images [n, c, h, w] (0..1) to probabilities [n, classes].
pub const TORCHSCRIPT_FILE: &str = "data/model.pth";
/// Every file of a bundle, relative to its folder. [`Bundle::load`] needs only the first two; the others are for MLflow.
pub const FILES: [&str; 5] = [CONFIG_FILE, WEIGHTS_FILE, "MLmodel", TORCHSCRIPT_FILE, "data/pickle_module_info.txt"];

/// A trained, frozen model.
#[derive(Debug)]
pub struct Bundle {
    model: Model,
}

impl Bundle {
    /// Freezes a copy of a model's weights.
    pub fn new(model: &Model) -> Result<Self> {
        Ok(Self { model: model.frozen()? })
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        self.model.config()
    }

    /// The frozen model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A bundle for another thread, sharing this one's weights.
    pub fn share(&self) -> Self {
        Self { model: self.model.share() }
    }

    /// Writes all [`FILES`] into a folder, which is created if necessary.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let data = dir.join("data");
        std::fs::create_dir_all(&data).map_err(Error::write(&data))?;
        let config = serde_json::to_vec(self.config())
            .map_err(|source| Error::ConfigFile { path: dir.join(CONFIG_FILE), source })?;
        write(&dir.join(CONFIG_FILE), &config)?;
        Tensor::write_safetensors(&self.model.named_parameters(), dir.join(WEIGHTS_FILE))?;
        write(&dir.join("MLmodel"), mlflow::mlmodel(self.config()).as_bytes())?;
        write(&data.join("pickle_module_info.txt"), mlflow::PICKLE_MODULE.as_bytes())?;
        self.torchscript()?.save(dir.join(TORCHSCRIPT_FILE))?;
        Ok(())
    }

    /// Reads `config.json` and `model.safetensors` from a folder; the other files are not needed.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(CONFIG_FILE);
        let config = std::fs::read(&path).map_err(Error::read(&path))?;
        let config: Config = serde_json::from_slice(&config).map_err(|source| Error::ConfigFile { path, source })?;
        let path = dir.join(WEIGHTS_FILE);
        // libtorch's reader would report a missing file without its name
        std::fs::metadata(&path).map_err(Error::read(&path))?;
        let weights = Tensor::read_safetensors(&path).map_err(|error| Error::Weights {
            architecture: config.architecture,
            problem: format!("{}: {error}", path.display()),
        })?;
        Ok(Self { model: Model::from_tensors(&config, weights)? })
    }

    /// Probabilities of `n` images, row by row: `n` × classes numbers.
    ///
    /// `images` holds `n` × channels × height × width numbers, ink 1.0 on paper 0.0.
    pub fn probabilities(&self, images: &[f32], n: usize) -> Result<Vec<f32>> {
        self.answer(images, n, None)
    }

    /// The same. Where features are asked for, those of each image are appended: [`Config::features`] numbers, which the last fully connected layer takes.
    pub fn answer(&self, images: &[f32], n: usize, features: Option<&mut Vec<f32>>) -> Result<Vec<f32>> {
        let config = self.config();
        config.check(images, n)?;
        let [c, h, w] = config.input;
        let x = Tensor::f_from_slice(images)?.f_view([n as i64, c, h, w])?;
        let Some(features) = features else { return numbers(&self.model.probabilities(&x)?) };
        let (probabilities, found) = self.model.probabilities_and_features(&x)?;
        features.extend(numbers(&found)?);
        numbers(&probabilities)
    }

    fn torchscript(&self) -> Result<CModule> {
        let [c, h, w] = self.config().input;
        // two images, so that no operation is specialised for a batch of one
        let example = Tensor::f_zeros([2, c, h, w], (Kind::Float, Device::Cpu))?;
        // an error should occur here rather than inside the trace, which must return an output
        let fallback = self.model.probabilities(&example)?;
        let mut failed = None;
        let module = CModule::create_by_tracing("Slipway", "forward", &[example], &mut |inputs| {
            vec![self.model.probabilities(&inputs[0]).unwrap_or_else(|error| {
                failed = Some(error);
                fallback.shallow_clone()
            })]
        })?;
        failed.map_or(Ok(module), Err)
    }
}

/// The numbers of a tensor, row by row.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let mut numbers = vec![0f32; tensor.numel()];
    tensor.f_copy_data(&mut numbers, tensor.numel())?;
    Ok(numbers)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(Error::write(path))
}

#[cfg(test)]
mod tests {
    use slipway_signature::digest;

    use super::*;
    use crate::Architecture;

    fn images(n: usize) -> Vec<f32> {
        (0..n * 784).map(|i| (i % 17) as f32 / 17.0).collect()
    }

    #[test]
    fn a_saved_bundle_answers_as_the_model_did() {
        for &(_, architecture) in Architecture::WORDS {
            let dir = tempfile::tempdir().unwrap();
            let model = Model::new(&Config::mnist(architecture, 0.25), 3).unwrap();
            let bundle = Bundle::new(&model).unwrap();
            bundle.save(dir.path()).unwrap();
            for file in FILES {
                assert!(dir.path().join(file).is_file(), "{file}");
            }
            let loaded = Bundle::load(dir.path()).unwrap();
            assert_eq!(loaded.config(), model.config());
            let x = images(3);
            let want = bundle.probabilities(&x, 3).unwrap();
            assert_eq!(loaded.probabilities(&x, 3).unwrap(), want);
            // TorchScript too, also at another batch size than it was traced with
            let script = CModule::load(dir.path().join(TORCHSCRIPT_FILE)).unwrap();
            let got = script.forward_ts(&[Tensor::from_slice(&x).view([3, 1, 28, 28])]).unwrap();
            let got = Vec::<f32>::try_from(got.flatten(0, -1)).unwrap();
            assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6));
            // saved again, the same content
            let before = digest(dir.path()).unwrap();
            loaded.save(dir.path()).unwrap();
            assert_eq!(digest(dir.path()).unwrap(), before);
        }
    }

    #[test]
    fn a_bundle_does_not_follow_further_training() {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), 3).unwrap();
        let bundle = Bundle::new(&model).unwrap();
        let before = bundle.probabilities(&images(1), 1).unwrap();
        tch::no_grad(|| {
            for (_, mut t) in model.named_parameters() {
                let _ = t.zero_();
            }
        });
        assert_eq!(bundle.probabilities(&images(1), 1).unwrap(), before);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let of = |a| Bundle::new(&Model::new(&Config::mnist(a, 0.0), 1).unwrap()).unwrap();
        let error = |dir: &Path| Bundle::load(dir).unwrap_err().to_string();
        assert!(error(dir.path()).contains("config.json"));
        of(Architecture::Mlp).save(dir.path()).unwrap();
        let weights = dir.path().join(WEIGHTS_FILE);
        let bytes = std::fs::read(&weights).unwrap();
        std::fs::write(&weights, &bytes[..bytes.len() - 4]).unwrap();
        assert!(error(dir.path()).contains("model.safetensors"));
        of(Architecture::Cnn).save(dir.path()).unwrap();
        std::fs::write(&weights, &bytes).unwrap();
        assert!(error(dir.path()).contains("fc3"), "{}", error(dir.path()));
        std::fs::remove_file(&weights).unwrap();
        assert!(error(dir.path()).contains("model.safetensors"));
        std::fs::write(dir.path().join(CONFIG_FILE), r#"{"architecture":"vgg"}"#).unwrap();
        assert!(error(dir.path()).contains("config.json"));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let bundle = Bundle::new(&Model::new(&Config::mnist(Architecture::Mlp, 0.0), 1).unwrap()).unwrap();
        assert!(bundle.probabilities(&images(1), 2).is_err());
        assert!(bundle.probabilities(&[], 0).is_err());
    }
}
