//! A bundle that is ready to answer, in the form that is fastest on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::inference::Inference;
use crate::{Bundle, Config, Error, Result};

/// From how many images on they count as many, for which the choice is another one.
const MANY: usize = 8;
/// How long each form is measured for each choice, after a first call; longer, up to the second time, for some calls to be made.
const MEASURED: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];
const CALLS: usize = 5;
/// How far the probabilities of both forms may be apart.
const TOLERANCE: f32 = 1e-5;

/// A bundle that is ready to answer. For each number of images it uses the form that was faster when it was prepared: libtorch, as in
/// training, or [`Inference`], whose answers are the same but for rounding.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    inference: Option<Arc<Inference>>,
    /// Only if it is the faster one for some number of images: its weights take memory.
    bundle: Option<Bundle>,
    measured: Measured,
}

/// What was measured while a bundle was prepared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// For one image.
    pub one: Times,
    /// For each of eight images.
    pub many: Times,
    /// The largest difference between the probabilities of the two forms.
    pub difference: f32,
}

/// How long the two forms take for an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// libtorch's layers.
    pub libtorch: Duration,
    /// The layers of this crate; `None` if these cannot be used.
    pub own: Option<Duration>,
}

impl Times {
    /// Whether the layers of this crate are the faster form.
    pub fn own_is_faster(&self) -> bool {
        self.own.is_some_and(|own| own < self.libtorch)
    }

    /// How long the faster one takes.
    pub fn fastest(&self) -> Duration {
        self.own.map_or(self.libtorch, |own| own.min(self.libtorch))
    }
}

impl Prepared {
    /// Prepares a bundle. This calls both forms for some milliseconds.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(bundle: Bundle) -> Result<Self> {
        let config = bundle.config().clone();
        let inference = Inference::of(bundle.model())?;
        let [one, many] = [1, MANY].map(|n| compare(&bundle, inference.as_ref(), n));
        let ((one, of_one), (many, of_many)) = (one?, many?);
        let difference = of_one.max(of_many);
        let agree = difference <= TOLERANCE;
        let [one, many] = [one, many].map(|times| Times { own: times.own.filter(|_| agree), ..times });
        let [for_one, for_many] = [one, many].map(|times| times.own_is_faster());
        Ok(Self {
            config,
            inference: inference.filter(|_| for_one || for_many).map(Arc::new),
            bundle: (!for_one || !for_many).then_some(bundle),
            measured: Measured { one, many, difference },
        })
    }

    /// The network's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What was measured.
    pub fn measured(&self) -> Measured {
        self.measured
    }

    /// One for another thread, sharing this one's weights.
    pub fn share(&self) -> Self {
        Self {
            config: self.config.clone(),
            inference: self.inference.clone(),
            bundle: self.bundle.as_ref().map(Bundle::share),
            measured: self.measured,
        }
    }

    /// The form that any number of threads may use at once, if it is the faster one for every number of images.
    pub fn inference(&self) -> Option<Arc<Inference>> {
        if self.bundle.is_some() { None } else { self.inference.clone() }
    }

    /// Probabilities of `n` images, as [`Bundle::probabilities`] gives them.
    ///
    /// # Errors
    /// When there are not `n` images, or libtorch fails.
    pub fn probabilities(&self, images: &[f32], n: usize) -> Result<Vec<f32>> {
        self.answer(images, n, None)
    }

    /// The same, with features where they are asked for, as [`Bundle::answer`] gives them.
    ///
    /// # Errors
    /// When there are not `n` images, or libtorch fails.
    pub fn answer(&self, images: &[f32], n: usize, features: Option<&mut Vec<f32>>) -> Result<Vec<f32>> {
        let times = if n < MANY { self.measured.one } else { self.measured.many };
        match (&self.inference, &self.bundle) {
            (Some(inference), None) => inference.answer(images, n, features),
            (Some(inference), Some(_)) if times.own_is_faster() => inference.answer(images, n, features),
            (_, Some(bundle)) => bundle.answer(images, n, features),
            (None, None) => Err(Error::Config("no form of the network is prepared".to_owned())),
        }
    }
}

/// How long an image takes in both forms when `n` of them are answered together, and how far their answers are apart.
fn compare(bundle: &Bundle, inference: Option<&Inference>, n: usize) -> Result<(Times, f32)> {
    // not all the same, so that differences show
    let images: Vec<f32> = (0..n * bundle.config().pixels()).map(|at| (at * 31 % 101) as f32 / 100.0).collect();
    // The first calls choose algorithms and fetch memory.
    let reference = bundle.probabilities(&images, n)?;
    let libtorch = fastest(|| bundle.probabilities(&images, n))? / n as u32;
    let Some(inference) = inference else { return Ok((Times { libtorch, own: None }, 0.0)) };
    let found = inference.probabilities(&images, n)?;
    let own = fastest(|| inference.probabilities(&images, n))? / n as u32;
    // NaN is no agreement
    let difference = reference.iter().zip(&found).map(|(a, b)| (a - b).abs());
    let difference = difference.fold(0.0, |most, one| if one <= most { most } else { one });
    Ok((Times { libtorch, own: Some(own) }, difference))
}

/// The shortest of several calls: whatever else the machine does only adds to it.
fn fastest(mut call: impl FnMut() -> Result<Vec<f32>>) -> Result<Duration> {
    let [enough, most] = MEASURED;
    let (begun, mut least, mut calls) = (Instant::now(), Duration::MAX, 0);
    while begun.elapsed() < enough || (calls < CALLS && begun.elapsed() < most) {
        let begun = Instant::now();
        call()?;
        least = least.min(begun.elapsed());
        calls += 1;
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;
    use crate::{Architecture, Model};

    /// Also one whose sides are odd, with several channels, and whose classes fill no vector.
    const SHAPES: [([i64; 3], i64); 3] = [([1, 28, 28], 10), ([3, 9, 13], 7), ([4, 4, 4], 33)];

    fn images(pixels: usize, n: usize) -> Vec<f32> {
        (0..n * pixels).map(|at| (at % 17) as f32 / 16.0).collect()
    }

    #[test]
    fn every_network_answers_in_both_forms_alike() {
        for &(word, architecture) in Architecture::WORDS {
            for (input, classes) in SHAPES {
                let config = Config { input, classes, ..Config::mnist(architecture, 0.25) };
                let bundle = Bundle::new(&Model::new(&config, 3).unwrap()).unwrap();
                let inference = Inference::of(bundle.model()).unwrap().unwrap();
                let x = images(config.pixels(), 15);
                let together = inference.probabilities(&x, 15).unwrap();
                let want = bundle.probabilities(&x, 15).unwrap();
                let apart = together.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(together.len() == want.len() && apart < TOLERANCE, "{word} of {input:?}: {apart}");
                // to the last bit the same as alone
                for (image, together) in x.chunks(config.pixels()).zip(together.chunks(classes as usize)) {
                    assert_eq!(inference.probabilities(image, 1).unwrap(), together, "{word} of {input:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_layer_makes_the_scores_of_the_features_in_both_forms() {
        for &(word, architecture) in Architecture::WORDS {
            for (input, classes) in SHAPES {
                let config = Config { input, classes, ..Config::mnist(architecture, 0.25) };
                let bundle = Bundle::new(&Model::new(&config, 3).unwrap()).unwrap();
                let inference = Inference::of(bundle.model()).unwrap().unwrap();
                let x = images(config.pixels(), 5);
                let [channels, height, width] = input;
                let images = Tensor::from_slice(&x).view([5, channels, height, width]);
                let want = bundle.model().forward_logits(&images, None).unwrap();
                let parameters = bundle.model().named_parameters();
                let [.., (_, weight), (_, bias)] = parameters.as_slice() else { panic!("{word} has no layer") };
                // what is there already stays
                let (mut own, mut libtorch) = (vec![7.0], vec![7.0]);
                let answers = [
                    inference.answer(&x, 5, Some(&mut own)).unwrap(),
                    bundle.answer(&x, 5, Some(&mut libtorch)).unwrap(),
                ];
                let alone = [inference.probabilities(&x, 5).unwrap(), bundle.probabilities(&x, 5).unwrap()];
                assert_eq!(answers, alone, "{word} of {input:?}");
                for features in [own, libtorch] {
                    assert_eq!(features.len(), 1 + 5 * config.features(), "{word} of {input:?}");
                    let scores = Tensor::from_slice(&features[1..]).view([5, -1]).linear(weight, Some(bias));
                    let apart = (scores - &want).abs().max().double_value(&[]);
                    assert!(features[0] == 7.0 && apart < 1e-5, "{word} of {input:?}: {apart}");
                }
                // the form that was chosen, whichever it is
                let (mut chosen, mut want) = (Vec::new(), Vec::new());
                let prepared = Prepared::new(bundle.share()).unwrap();
                prepared.answer(&x[..config.pixels()], 1, Some(&mut chosen)).unwrap();
                bundle.answer(&x[..config.pixels()], 1, Some(&mut want)).unwrap();
                let alike = chosen.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4);
                assert!(chosen.len() == want.len() && alike, "{word} of {input:?}");
            }
        }
    }

    #[test]
    fn a_prepared_bundle_answers_as_the_bundle_does_whichever_form_was_faster() {
        for &(word, architecture) in Architecture::WORDS {
            let bundle = Bundle::new(&Model::new(&Config::mnist(architecture, 0.0), 5).unwrap()).unwrap();
            let prepared = Prepared::new(bundle.share()).unwrap();
            let measured = prepared.measured();
            assert!(measured.difference <= TOLERANCE && measured.one.own.is_some(), "{word}: {measured:?}");
            let time = |libtorch, own| Times {
                libtorch: Duration::from_micros(libtorch),
                own: Some(Duration::from_micros(own)),
            };
            for (one, many) in [(time(1, 2), time(1, 2)), (time(1, 2), time(2, 1)), (time(2, 1), time(2, 1))] {
                let both = Prepared {
                    inference: Inference::of(bundle.model()).unwrap().map(Arc::new),
                    bundle: Some(bundle.share()),
                    measured: Measured { one, many, ..measured },
                    config: bundle.config().clone(),
                };
                for prepared in [&prepared.share(), &both] {
                    for n in [1, MANY, 20] {
                        let x = images(784, n);
                        let [a, b] = [prepared.probabilities(&x, n), bundle.probabilities(&x, n)].map(Result::unwrap);
                        assert!(
                            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < TOLERANCE),
                            "{word}"
                        );
                    }
                }
            }
            assert!(prepared.probabilities(&images(784, 1), 2).is_err());
            assert!(prepared.probabilities(&[], 0).is_err());
        }
    }
}
