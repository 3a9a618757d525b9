//! Runs the layers of an architecture by libtorch.
//!
//! Each intermediate tensor is assigned to the same variable, so it is dropped as soon as the next one exists. The temporaries of one
//! long expression would all live until its end, which costs memory and page faults on every step.

use slipway_architecture::{Layer, Start};
use tch::{Device, Kind, Tensor};

use crate::init::SplitMix64;
use crate::{Config, Error, Result};

/// Added to variances by group normalisation: PyTorch's default.
pub(crate) const EPSILON: f64 = 1e-5;

/// A network and its parameters.
#[derive(Debug)]
pub struct Model {
    config: Config,
    layers: Vec<Layer>,
    /// In the order of their use: weight, bias, weight, bias, …
    parameters: Vec<(String, Tensor)>,
    /// Whether images and filters lie in memory pixel by pixel, with the channels of a pixel side by side. oneDNN's convolutions, forward and
    /// backward, are faster that way, and rounding is all that it changes. What is saved and served lies channel by channel.
    channels_last: bool,
}

/// The parameters that the layers ahead will use.
type Ahead<'a> = std::slice::Iter<'a, (String, Tensor)>;

impl Model {
    /// A network to be trained, with fresh weights, which depend only on `config` and `seed`.
    pub fn new(config: &Config, seed: u64) -> Result<Self> {
        config.validate()?;
        let mut random = SplitMix64::new(seed);
        let mut parameters = Vec::new();
        let mut channels_last = false;
        for parameter in config.architecture.parameters(config.input, config.classes) {
            let count = parameter.shape.iter().product::<i64>() as usize;
            let numbers = match parameter.start {
                Start::Uniform(bound) => random.uniform(count, bound),
                Start::Constant(number) => vec![number; count],
            };
            let mut tensor = Tensor::f_from_slice(&numbers)?.f_reshape(&parameter.shape)?;
            if parameter.shape.len() == 4 {
                tensor = pixel_by_pixel(&tensor)?;
                channels_last = true;
            }
            parameters.push((parameter.name, tensor.f_set_requires_grad(true)?));
        }
        Ok(Self { channels_last, ..Self::of(config, parameters) })
    }

    /// A network with the given weights, by name; they do not require gradients.
    ///
    /// Fails if a tensor is missing, unknown, not finite, or has another shape than the configuration needs.
    pub fn from_tensors(config: &Config, tensors: Vec<(String, Tensor)>) -> Result<Self> {
        config.validate()?;
        let wrong = |problem: String| Error::Weights { architecture: config.architecture, problem };
        let expected = config.architecture.parameters(config.input, config.classes);
        if let Some((name, _)) = tensors.iter().find(|(name, _)| !expected.iter().any(|one| one.name == *name)) {
            return Err(wrong(format!("tensor `{name}` is not one of its parameters")));
        }
        let mut parameters = Vec::new();
        for parameter in expected {
            let (name, shape) = (parameter.name, parameter.shape);
            let tensor = tensors
                .iter()
                .find(|(n, _)| *n == name)
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
        Ok(Self::of(config, parameters))
    }

    fn of(config: &Config, parameters: Vec<(String, Tensor)>) -> Self {
        let layers = config.architecture.layers(config.classes);
        Self { config: config.clone(), layers, parameters, channels_last: false }
    }

    /// The network's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every parameter by name, in a fixed order. The tensors share storage with the model.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    /// A model that shares this one's storage: libtorch's tensors are counted references, so a second thread costs no memory.
    pub fn share(&self) -> Self {
        Self { channels_last: self.channels_last, ..Self::of(&self.config, self.named_parameters()) }
    }

    /// A copy of the weights as they are now, without gradients, each in the order of its shape.
    pub fn frozen(&self) -> Result<Self> {
        let mut parameters = Vec::new();
        for (name, tensor) in &self.parameters {
            // not `copy`, which would keep the order in memory
            let mut copy = Tensor::f_empty(tensor.size(), (Kind::Float, Device::Cpu))?;
            copy.f_copy_(&tensor.f_detach()?)?;
            parameters.push((name.clone(), copy));
        }
        Ok(Self::of(&self.config, parameters))
    }

    /// Scores before softmax, [n, classes], of images [n, channels, height, width] with ink 1.0 on paper 0.0.
    ///
    /// `masks` turns dropout on, and decides what it drops.
    pub fn forward_logits(&self, images: &Tensor, masks: Option<&mut SplitMix64>) -> Result<Tensor> {
        self.run(&self.layers, self.normalised(images)?, &mut self.parameters.iter(), masks)
    }

    /// Probabilities, [n, classes], of images [n, channels, height, width] with ink 1.0 on paper 0.0; keeps no gradients.
    pub fn probabilities(&self, images: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| Ok(self.forward_logits(images, None)?.f_softmax(-1, Kind::Float)?))
    }

    /// The same, and the features, [n, features]: what the last fully connected layer takes of each image.
    pub fn probabilities_and_features(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        tch::no_grad(|| {
            let last = self.layers.iter().rposition(|layer| matches!(layer, Layer::Linear { .. })).unwrap_or_default();
            let (before, after) = self.layers.split_at(last);
            let ahead = &mut self.parameters.iter();
            let features = self.run(before, self.normalised(images)?, ahead, None)?;
            let scores = self.run(after, features.shallow_clone(), ahead, None)?;
            Ok((scores.f_softmax(-1, Kind::Float)?, features))
        })
    }

    /// Images as the first layer takes them.
    fn normalised(&self, images: &Tensor) -> Result<Tensor> {
        let preprocessing = self.config.preprocessing;
        let mut x = images.f_sub_scalar(preprocessing.mean)?;
        x = x.f_div_scalar_(preprocessing.std)?;
        if self.channels_last { pixel_by_pixel(&x) } else { Ok(x) }
    }

    fn run(
        &self,
        layers: &[Layer],
        mut x: Tensor,
        ahead: &mut Ahead<'_>,
        mut masks: Option<&mut SplitMix64>,
    ) -> Result<Tensor> {
        let mut layers = layers.iter();
        while let Some(layer) = layers.next() {
            x = match layer {
                Layer::Flatten => x.f_flatten(1, -1)?,
                Layer::Linear { name, .. } => {
                    let [weight, bias] = self.next(name, ahead)?;
                    x.f_linear(weight, Some(bias))?
                }
                Layer::Convolution { name, side, stride, .. } => {
                    let [weight, bias] = self.next(name, ahead)?;
                    let padding = side / 2;
                    // the images themselves: what the convolution makes of them is four times as large as what the pool leaves
                    let is_first = self.channels_last && weight.requires_grad() && !x.requires_grad();
                    if is_first
                        && (*side, *stride, x.size()[1]) == (3, 1, 1)
                        && let [Layer::MaxPool, Layer::Relu, rest @ ..] = layers.as_slice()
                    {
                        layers = rest.iter();
                        slipway_kernels::convolution_max_pool_relu(&x, weight, bias)?
                    } else {
                        x.f_conv2d(weight, Some(bias), [*stride, *stride], [padding, padding], [1, 1], 1)?
                    }
                }
                Layer::GroupNorm { name, groups } => {
                    let [weight, bias] = self.next(name, ahead)?;
                    x.f_group_norm(*groups, Some(weight), Some(bias), EPSILON, false)?
                }
                Layer::MaxPool => {
                    // the same bits, and less to write for the backward pass and to read in it
                    let training = self.channels_last && x.requires_grad();
                    if training && let [Layer::Relu, rest @ ..] = layers.as_slice() {
                        layers = rest.iter();
                        slipway_kernels::max_pool_relu(&x)?
                    } else {
                        x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?
                    }
                }
                Layer::Relu => x.f_relu_()?,
                Layer::Dropout => match masks.as_deref_mut() {
                    Some(random) if self.config.dropout > 0.0 => dropout(&x, self.config.dropout, random)?,
                    _ => x,
                },
                Layer::Residual { body, shortcut } => {
                    let input = x.shallow_clone();
                    x = self.run(body, x, ahead, masks.as_deref_mut())?;
                    x.f_add(&self.run(shortcut, input, ahead, masks.as_deref_mut())?)?
                }
            };
        }
        Ok(x)
    }

    /// Weight and bias of the layer whose turn it is.
    fn next<'a>(&self, layer: &str, ahead: &mut Ahead<'a>) -> Result<[&'a Tensor; 2]> {
        let (Some((_, weight)), Some((_, bias))) = (ahead.next(), ahead.next()) else {
            let problem = format!("layer `{layer}` has no parameters left");
            return Err(Error::Weights { architecture: self.config.architecture, problem });
        };
        Ok([weight, bias])
    }
}

/// Makes each number 0 with this probability, below 1, and enlarges the others, so that the mean stays. libtorch's own dropout takes most of its time
/// for its random numbers.
fn dropout(x: &Tensor, probability: f64, random: &mut SplitMix64) -> Result<Tensor> {
    let count = x.numel();
    let factors = [(1.0 / (1.0 - probability)) as f32, 0.0];
    let limit = (probability * (1u64 << 32) as f64) as u64;
    let mut mask = Vec::with_capacity(count + 1);
    while mask.len() < count {
        let bits = random.next_u64();
        mask.extend([bits & u64::from(u32::MAX), bits >> 32].map(|bits| factors[usize::from(bits < limit)]));
    }
    mask.truncate(count);
    Ok(x.f_mul(&Tensor::f_from_slice(&mask)?.f_reshape(x.size())?)?)
}

/// The same numbers as a tensor [n, channels, height, width] whose strides say that the channels of a pixel lie side by side. The strides
/// are given explicitly, because with a single channel libtorch takes both orders for the same one, and chooses the slower convolution.
fn pixel_by_pixel(images: &Tensor) -> Result<Tensor> {
    let (n, channels, height, width) = images.size4()?;
    let pixels = images.f_permute([0, 2, 3, 1])?.f_contiguous()?;
    let strides = [height * width * channels, 1, width * channels, channels];
    Ok(pixels.f_as_strided([n, channels, height, width], strides, None)?)
}

#[cfg(test)]
mod tests {
    use slipway_architecture::Architecture;
    use slipway_digest::Digest;

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
                // normalisation begins with ones and zeros, whatever the seed
                assert_eq!(a.equal(&c), name.contains("norm"), "{name}");
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
            let train = model.forward_logits(&x, Some(&mut SplitMix64::new(1))).unwrap();
            assert!(!train.equal(&model.forward_logits(&x, None).unwrap()));
            train.sum(Kind::Float).backward();
            assert!(model.named_parameters().iter().all(|(_, t)| t.grad().defined()));
        }
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let x = Tensor::ones([200, 501], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let dropped = |seed| dropout(&x, 0.25, &mut SplitMix64::new(seed)).unwrap();
        let y = dropped(1);
        assert!(y.equal(&dropped(1)) && !y.equal(&dropped(2)));
        let numbers = Vec::<f32>::try_from(y.detach().flatten(0, -1)).unwrap();
        assert!(numbers.iter().all(|number| [0.0, 1.0 / 0.75].contains(number)));
        let share = |count: usize| count as f64 / numbers.len() as f64;
        let zeros = share(numbers.iter().filter(|number| **number == 0.0).count());
        assert!((0.24..0.26).contains(&zeros), "{zeros}");
        // two numbers come from the same 64 bits
        let pairs = share(numbers.windows(2).filter(|pair| *pair == [0.0; 2]).count());
        assert!((0.058..0.067).contains(&pairs), "{pairs}");
        y.sum(Kind::Float).backward();
        assert!(x.grad().equal(&y.detach()));
    }

    #[test]
    fn other_shapes_work() {
        for &(_, architecture) in Architecture::WORDS {
            for [c, h, w] in [[1, 8, 8], [3, 9, 13], [4, 4, 4]] {
                let config = Config { input: [c, h, w], classes: 7, ..Config::mnist(architecture, 0.0) };
                let model = Model::new(&config, 1).unwrap();
                let x = Tensor::rand([2, c, h, w], (Kind::Float, Device::Cpu));
                assert_eq!(model.probabilities(&x).unwrap().size(), [2, 7], "{architecture} of {c}x{h}x{w}");
            }
        }
    }

    #[test]
    fn an_image_is_answered_alike_alone_and_in_a_batch() {
        for &(_, architecture) in Architecture::WORDS {
            let model = Model::new(&Config::mnist(architecture, 0.0), 1).unwrap();
            let x = Tensor::rand([5, 1, 28, 28], (Kind::Float, Device::Cpu));
            let alone = model.probabilities(&x.narrow(0, 3, 1)).unwrap();
            let together = model.probabilities(&x).unwrap().narrow(0, 3, 1);
            assert!((alone - together).abs().max().double_value(&[]) < 1e-6, "{architecture}");
        }
    }

    #[test]
    fn the_order_in_memory_changes_nothing_but_rounding() {
        for &(_, architecture) in Architecture::WORDS {
            for [c, h, w] in [[1, 28, 28], [3, 9, 13]] {
                let config = Config { input: [c, h, w], ..Config::mnist(architecture, 0.0) };
                let model = Model::new(&config, 1).unwrap();
                let plain = Model { parameters: model.frozen().unwrap().parameters, ..Model::of(&config, vec![]) };
                for (_, tensor) in &plain.parameters {
                    assert!(tensor.is_contiguous());
                    let _ = tensor.set_requires_grad(true);
                }
                let x = random_images([3, c, h, w]);
                let answers = [&model, &plain].map(|model| {
                    let scores = model.forward_logits(&x, None).unwrap();
                    scores.square().sum(Kind::Float).backward();
                    scores.detach()
                });
                assert!(distance(&answers[0], &answers[1]) < 1e-5, "{architecture}");
                for ((name, a), (_, b)) in model.parameters.iter().zip(&plain.parameters) {
                    let one_after_another = if a.dim() == 4 { a.stride()[1] == 1 } else { a.is_contiguous() };
                    assert!(one_after_another && a.equal(b), "{name}");
                    assert!(distance(&a.grad(), &b.grad()) < 1e-4, "{architecture} {name}");
                }
            }
        }
    }

    #[test]
    fn layers_that_are_one_operation_in_training_give_what_they_give_one_by_one() {
        for &(_, architecture) in Architecture::WORDS {
            for [c, h, w] in [[1, 28, 28], [3, 9, 13]] {
                let config = Config { input: [c, h, w], ..Config::mnist(architecture, 0.0) };
                let x = random_images([3, c, h, w]);
                let together = Model::new(&config, 1).unwrap();
                let apart = Model::new(&config, 1).unwrap();
                let found = together.forward_logits(&x, None).unwrap();
                // a layer that is run alone is libtorch's
                let ahead = &mut apart.parameters.iter();
                let want = apart.layers.iter().fold(apart.normalised(&x).unwrap(), |x, layer| {
                    apart.run(std::slice::from_ref(layer), x, ahead, None).unwrap()
                });
                for scores in [&found, &want] {
                    scores.square().sum(Kind::Float).backward();
                }
                // the convolution of images of one channel rounds differently
                let has_own_convolution = architecture == Architecture::Cnn && c == 1;
                let agree = |found: &Tensor, want: &Tensor, nearly: f64| {
                    if has_own_convolution { distance(found, want) < nearly } else { same_bits(found, want) }
                };
                let [found, want] = [found, want].map(|scores| scores.detach());
                assert!(agree(&found, &want, 1e-5), "{architecture}");
                assert_eq!(same_bits(&found, &want), !has_own_convolution, "{architecture}");
                for ((name, found), (_, want)) in together.parameters.iter().zip(&apart.parameters) {
                    assert!(agree(&found.grad(), &want.grad(), 1e-4), "{architecture} {name}");
                }
            }
        }
    }

    /// Always the same ones, because nearly equal numbers in a pool may be told apart by how they were rounded.
    fn random_images(shape: [i64; 4]) -> Tensor {
        let numbers = SplitMix64::new(5).uniform(shape.iter().product::<i64>() as usize, 0.5);
        Tensor::from_slice(&numbers).reshape(shape) + 0.5
    }

    fn distance(found: &Tensor, want: &Tensor) -> f64 {
        (found - want).abs().max().double_value(&[]) / want.abs().max().double_value(&[])
    }

    /// Other than for `==`, 0.0 is not -0.0.
    fn same_bits(a: &Tensor, b: &Tensor) -> bool {
        let [a, b] = [a, b].map(|tensor| tensor.contiguous().view_dtype(Kind::Int));
        a.equal(&b)
    }

    #[test]
    fn only_a_network_that_was_made_for_training_has_the_fused_operation() {
        let trained = Model::new(&Config::mnist(Architecture::Cnn, 0.0), 1).unwrap();
        let frozen = trained.frozen().unwrap();
        let x = Tensor::rand([2, 1, 28, 28], (Kind::Float, Device::Cpu));
        // its gradient cannot be differentiated again, which those of libtorch's pool and relu can
        let differentiated_again = |model: &Model| {
            let (_, weight) = &model.parameters[0];
            let _ = weight.set_requires_grad(true);
            let loss = model.forward_logits(&x, None).unwrap().square().sum(Kind::Float);
            Tensor::f_run_backward(&[loss], &[weight], true, true)
        };
        let error = differentiated_again(&trained).unwrap_err().to_string();
        assert!(error.contains("max_pool_relu"), "{error}");
        assert!(differentiated_again(&frozen).is_ok());
    }

    #[test]
    fn seeds_give_the_weights_that_they_always_gave() {
        for (architecture, digest) in [
            (Architecture::Mlp, "8a0839c68d389d7bb708409e5d887174519e4493c7f07854159e3824eb35ab7b"),
            (Architecture::Cnn, "9bbf163127f354437e76e762c8fc60a618e1afde63ecfb52483d91032a9a31a2"),
        ] {
            let model = Model::new(&Config::mnist(architecture, 0.0), 7).unwrap();
            let numbers = model.named_parameters().into_iter().flat_map(|(_, t)| {
                Vec::<f32>::try_from(t.flatten(0, -1)).unwrap().into_iter().flat_map(f32::to_le_bytes)
            });
            assert_eq!(Digest::of(numbers.collect::<Vec<u8>>()).hex(), digest, "{architecture}");
        }
    }
}
