//! The networks themselves.
//!
//! Each intermediate tensor is assigned to the same variable, so it is dropped as soon as the next one exists. The temporaries of one
//! long expression would all live until its end, which costs memory and page faults on every step.

use tch::{Kind, Tensor};

use crate::init::SplitMix64;
use crate::{Architecture, Config, Error, Result};

/// A network and its parameters.
#[derive(Debug)]
pub struct Model {
    config: Config,
    /// In the order of [`layout`]: weight, bias, weight, bias, …
    parameters: Vec<(&'static str, Tensor)>,
}

/// Name and shape of every parameter of a network, in order of use. Biases have one dimension.
fn layout(config: &Config) -> Vec<(&'static str, Vec<i64>)> {
    let [channels, height, width] = config.input;
    match config.architecture {
        Architecture::Mlp => vec![
            ("fc1.weight", vec![256, channels * height * width]),
            ("fc1.bias", vec![256]),
            ("fc2.weight", vec![128, 256]),
            ("fc2.bias", vec![128]),
            ("fc3.weight", vec![config.classes, 128]),
            ("fc3.bias", vec![config.classes]),
        ],
        Architecture::Cnn => vec![
            ("conv1.weight", vec![16, channels, 3, 3]),
            ("conv1.bias", vec![16]),
            ("conv2.weight", vec![32, 16, 3, 3]),
            ("conv2.bias", vec![32]),
            ("fc1.weight", vec![128, 32 * (height / 4) * (width / 4)]),
            ("fc1.bias", vec![128]),
            ("fc2.weight", vec![config.classes, 128]),
            ("fc2.bias", vec![config.classes]),
        ],
    }
}

impl Model {
    /// A network with fresh weights, which depend only on `config` and `seed`.
    ///
    /// Weights and biases are uniform in ±1/√fan-in, as PyTorch initialises linear and convolutional layers.
    pub fn new(config: &Config, seed: u64) -> Result<Self> {
        config.validate()?;
        let mut random = SplitMix64::new(seed);
        let mut bound = 1.0;
        let mut parameters = Vec::new();
        for (name, shape) in layout(config) {
            // a bias follows its weight and has the same bound
            if shape.len() > 1 {
                bound = 1.0 / (shape[1..].iter().product::<i64>() as f64).sqrt();
            }
            let numbers = random.uniform(shape.iter().product::<i64>() as usize, bound);
            let tensor = Tensor::f_from_slice(&numbers)?.f_reshape(&shape)?.f_set_requires_grad(true)?;
            parameters.push((name, tensor));
        }
        Ok(Self { config: config.clone(), parameters })
    }

    /// A network with the given weights, by name; they do not require gradients.
    ///
    /// Fails if a tensor is missing, unknown, not finite, or has another shape than the configuration needs.
    pub fn from_tensors(config: &Config, tensors: Vec<(String, Tensor)>) -> Result<Self> {
        config.validate()?;
        let wrong = |problem: String| Error::Weights { architecture: config.architecture, problem };
        let layout = layout(config);
        if let Some((name, _)) = tensors.iter().find(|(name, _)| !layout.iter().any(|(parameter, _)| parameter == name))
        {
            return Err(wrong(format!("tensor `{name}` is not one of its parameters")));
        }
        let mut parameters = Vec::new();
        for (name, shape) in layout {
            let tensor = tensors
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, t)| t)
                .ok_or_else(|| wrong(format!("tensor `{name}` is missing")))?;
            if tensor.size() != shape || tensor.kind() != Kind::Float {
                return Err(wrong(format!(
                    "tensor `{name}` is {:?} {:?}, not Float {shape:?}",
                    tensor.kind(),
                    tensor.size()
                )));
            }
            if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                return Err(wrong(format!("tensor `{name}` holds NaN or infinity")));
            }
            parameters.push((name, tensor.f_detach()?));
        }
        Ok(Self { config: config.clone(), parameters })
    }

    /// The network's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every parameter by name, in a fixed order. The tensors share storage with the model.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect()
    }

    /// A model that shares this one's storage: libtorch's tensors are counted references, so a second thread costs no memory.
    pub fn share(&self) -> Self {
        Self {
            config: self.config.clone(),
            parameters: self.parameters.iter().map(|(name, tensor)| (*name, tensor.shallow_clone())).collect(),
        }
    }

    /// A copy of the weights as they are now, without gradients.
    pub fn frozen(&self) -> Result<Self> {
        let mut parameters = Vec::new();
        for (name, tensor) in &self.parameters {
            parameters.push((*name, tensor.f_detach()?.copy()));
        }
        Ok(Self { config: self.config.clone(), parameters })
    }

    /// Scores before softmax, [n, classes], of images [n, channels, height, width] with ink 1.0 on paper 0.0.
    ///
    /// `train` turns dropout on; its mask comes from libtorch's generator (`tch::manual_seed`).
    pub fn forward_logits(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        let preprocessing = self.config.preprocessing;
        let mut x = images.f_sub_scalar(preprocessing.mean)?;
        x = x.f_div_scalar_(preprocessing.std)?;
        match self.config.architecture {
            Architecture::Mlp => {
                x = x.f_flatten(1, -1)?;
                x = self.linear(&x, 0)?;
                x = x.f_relu_()?;
                x = self.dropout(x, train)?;
                x = self.linear(&x, 1)?;
                x = x.f_relu_()?;
                x = self.dropout(x, train)?;
                self.linear(&x, 2)
            }
            Architecture::Cnn => {
                // relu after the pool: the same result from a quarter of the work
                x = self.convolution(&x, 0)?;
                x = x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
                x = x.f_relu_()?;
                x = self.convolution(&x, 1)?;
                x = x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
                x = x.f_relu_()?;
                x = x.f_flatten(1, -1)?;
                x = self.linear(&x, 2)?;
                x = x.f_relu_()?;
                x = self.dropout(x, train)?;
                self.linear(&x, 3)
            }
        }
    }

    /// Probabilities, [n, classes], of images [n, channels, height, width] with ink 1.0 on paper 0.0; keeps no gradients.
    pub fn probabilities(&self, images: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| Ok(self.forward_logits(images, false)?.f_softmax(-1, Kind::Float)?))
    }

    fn layer(&self, index: usize) -> (&Tensor, &Tensor) {
        (&self.parameters[2 * index].1, &self.parameters[2 * index + 1].1)
    }

    fn linear(&self, x: &Tensor, layer: usize) -> Result<Tensor> {
        let (weight, bias) = self.layer(layer);
        Ok(x.f_linear(weight, Some(bias))?)
    }

    fn convolution(&self, x: &Tensor, layer: usize) -> Result<Tensor> {
        let (weight, bias) = self.layer(layer);
        Ok(x.f_conv2d(weight, Some(bias), [1, 1], [1, 1], [1, 1], 1)?)
    }

    fn dropout(&self, x: Tensor, train: bool) -> Result<Tensor> {
        if train && self.config.dropout > 0.0 { Ok(x.f_dropout(self.config.dropout, true)?) } else { Ok(x) }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn weights_depend_on_the_seed_only() {
        for &(_, architecture) in Architecture::WORDS {
            let config = Config::mnist(architecture, 0.0);
            let a = Model::new(&config, 7).unwrap();
            let _ = Tensor::rand([3], (Kind::Float, Device::Cpu));
            let b = Model::new(&config, 7).unwrap();
            let c = Model::new(&config, 8).unwrap();
            for (((name, a), (_, b)), (_, c)) in
                a.named_parameters().iter().zip(b.named_parameters()).zip(c.named_parameters())
            {
                assert!(a.equal(&b), "{name}");
                assert!(!a.equal(&c), "{name}");
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_dropout_is_for_training() {
        for &(_, architecture) in Architecture::WORDS {
            let model = Model::new(&Config::mnist(architecture, 0.5), 1).unwrap();
            let x = Tensor::rand([5, 1, 28, 28], (Kind::Float, Device::Cpu));
            let before = x.copy();
            let p = model.probabilities(&x).unwrap();
            assert!(x.equal(&before), "the caller's images are left alone");
            assert_eq!(p.size(), [5, 10]);
            assert!((p.sum_dim_intlist(&[1i64][..], false, Kind::Float) - 1.0).abs().max().double_value(&[]) < 1e-5);
            assert!(p.equal(&model.probabilities(&x).unwrap()));
            let train = model.forward_logits(&x, true).unwrap();
            assert!(!train.equal(&model.forward_logits(&x, false).unwrap()));
            train.sum(Kind::Float).backward();
            assert!(model.named_parameters().iter().all(|(_, t)| t.grad().defined()));
        }
    }

    #[test]
    fn other_shapes_work() {
        let config = Config { input: [1, 8, 8], ..Config::mnist(Architecture::Cnn, 0.0) };
        let model = Model::new(&config, 1).unwrap();
        let x = Tensor::rand([2, 1, 8, 8], (Kind::Float, Device::Cpu));
        assert_eq!(model.probabilities(&x).unwrap().size(), [2, 10]);
    }
}
