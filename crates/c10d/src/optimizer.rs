//! libtorch's fused optimizers, which update all parameters in one pass over memory. tch wraps none of them.

use std::ptr::null_mut;

use crate::ffi::{self, Handle};
use crate::parameters::check;
use crate::{Parameters, Result};

/// How parameters follow their gradients, with PyTorch's defaults for what is not named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Kingma and Ba, 2015. `weight_decay` times each parameter is added to its gradient.
    Adam {
        /// At least 0.
        weight_decay: f64,
    },
    /// Loshchilov and Hutter, 2019: Adam, where each step takes the learning rate × `weight_decay` of a parameter from it, whatever its
    /// gradient.
    AdamW {
        /// At least 0.
        weight_decay: f64,
    },
    /// Stochastic gradient descent with momentum. `weight_decay` times each parameter is added to its gradient.
    Sgd {
        /// 0 for none, below 1.
        momentum: f64,
        /// At least 0.
        weight_decay: f64,
    },
}

/// What an optimizer remembers from step to step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Adam's mean of the gradients, or the momentum of SGD; empty without momentum.
    pub first: Vec<f32>,
    /// Adam's mean of the squared gradients; empty for SGD.
    pub second: Vec<f32>,
    /// Steps so far.
    pub steps: f32,
}

/// Updates parameters from their gradients.
#[derive(Debug)]
pub struct Optimizer {
    handle: Handle,
}

impl Optimizer {
    /// An optimizer of these parameters, before its first step.
    ///
    /// # Errors
    /// [`crate::Error::Training`] with libtorch's message, for instance when memory is exhausted.
    pub fn new(algorithm: Algorithm, parameters: &Parameters) -> Result<Self> {
        // the numbers are those of shim/training.cpp
        let (number, momentum, weight_decay) = match algorithm {
            Algorithm::Adam { weight_decay } => (0, 0.0, weight_decay),
            Algorithm::AdamW { weight_decay } => (1, 0.0, weight_decay),
            Algorithm::Sgd { momentum, weight_decay } => (2, momentum, weight_decay),
        };
        let mut handle = null_mut();
        // SAFETY: the parameters' handle and the out pointer are valid for the call.
        let message = unsafe { ffi::optimizer_new(number, momentum, weight_decay, parameters.handle(), &mut handle) };
        check("setting up the optimizer", message)?;
        Ok(Self { handle })
    }

    /// Updates every parameter from the gradient that was taken last.
    ///
    /// # Errors
    /// [`crate::Error::Training`] with libtorch's message, or if these are not the parameters that the optimizer was made for.
    pub fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) -> Result<()> {
        // SAFETY: both handles are valid, and `&mut` keeps others away for the call.
        check("updating the parameters", unsafe {
            ffi::optimizer_step(self.handle, parameters.handle(), learning_rate)
        })
    }

    /// What it remembers now: what [`Self::set_state`] takes.
    ///
    /// # Errors
    /// [`crate::Error::Training`] with libtorch's message.
    pub fn state(&self) -> Result<OptimizerState> {
        let (mut first, mut second) = (0, 0);
        // SAFETY: the handle and the out pointers are valid for the call.
        check("measuring the optimizer", unsafe { ffi::optimizer_counts(self.handle, &mut first, &mut second) })?;
        let mut state = OptimizerState { first: vec![0.0; first], second: vec![0.0; second], steps: 0.0 };
        // SAFETY: the handle is valid, and there is room for as many numbers as the call is told.
        let message = unsafe {
            ffi::optimizer_copy(
                self.handle,
                state.first.as_mut_ptr(),
                first,
                state.second.as_mut_ptr(),
                second,
                &mut state.steps,
            )
        };
        check("copying the optimizer's state", message)?;
        Ok(state)
    }

    /// Goes on from a state.
    ///
    /// # Errors
    /// [`crate::Error::Training`] if it is the state of another algorithm, or of another number of parameters.
    pub fn set_state(&mut self, state: &OptimizerState) -> Result<()> {
        let OptimizerState { first, second, steps } = state;
        // SAFETY: the handle is valid, and as many numbers are there as the call is told.
        check("restoring the optimizer", unsafe {
            ffi::optimizer_set(self.handle, first.as_ptr(), first.len(), second.as_ptr(), second.len(), *steps)
        })
    }
}

impl Drop for Optimizer {
    fn drop(&mut self) {
        // SAFETY: the handle came from optimizer_new and is freed once.
        // If freeing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::optimizer_free(self.handle)) };
    }
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;
    use crate::Error;

    fn parameter(numbers: &[f32]) -> Vec<(String, Tensor)> {
        vec![("x".to_owned(), Tensor::from_slice(numbers).set_requires_grad(true))]
    }

    /// The parameter, which begins at 1, after steps along the gradient of sum(x²), one for each learning rate.
    fn after(algorithm: Algorithm, learning_rates: &[f64]) -> f64 {
        let parameters = parameter(&[1.0, 1.0]);
        let mut flat = Parameters::flatten(&parameters).unwrap();
        let mut optimizer = Optimizer::new(algorithm, &flat).unwrap();
        for rate in learning_rates {
            (&parameters[0].1 * &parameters[0].1).sum(Kind::Float).backward();
            flat.take_gradients().unwrap();
            optimizer.step(&mut flat, *rate).unwrap();
        }
        parameters[0].1.double_value(&[0])
    }

    #[test]
    fn each_setting_has_its_effect() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        let plain = Algorithm::Sgd { momentum: 0.0, weight_decay: 0.0 };
        // the gradient at 1 is 2
        near(after(plain, &[0.1]), 0.8);
        // 0.8 − 0.01 · 1.6
        near(after(plain, &[0.1, 0.01]), 0.784);
        // the second step adds half of the first gradient: 0.8 − 0.1 · (1.6 + 1)
        near(after(Algorithm::Sgd { momentum: 0.5, weight_decay: 0.0 }, &[0.1, 0.1]), 0.54);
        // the gradient is 2 + 0.5
        near(after(Algorithm::Sgd { momentum: 0.0, weight_decay: 0.5 }, &[0.1]), 0.75);
        // Adam's first step is the learning rate, however large the gradient; AdamW takes 0.1 · 0.5 off before it
        near(after(Algorithm::Adam { weight_decay: 0.5 }, &[0.1]), 0.9);
        near(after(Algorithm::AdamW { weight_decay: 0.5 }, &[0.1]), 0.85);
    }

    /// PyTorch's own optimizer, which goes over the parameters one by one, as the oracle.
    struct Plain(*mut torch_sys::C_optimizer);

    impl Plain {
        fn new(algorithm: Algorithm, parameter: &Tensor) -> Self {
            // SAFETY: plain numbers, and a tensor that lives for the call and of which libtorch keeps a counted reference.
            unsafe {
                let handle = match algorithm {
                    Algorithm::Adam { weight_decay } => torch_sys::ato_adam(0.1, 0.9, 0.999, weight_decay, 1e-8, false),
                    Algorithm::AdamW { weight_decay } => {
                        torch_sys::ato_adamw(0.1, 0.9, 0.999, weight_decay, 1e-8, false)
                    }
                    Algorithm::Sgd { momentum, weight_decay } => {
                        torch_sys::ato_sgd(0.1, momentum, 0.0, weight_decay, 0)
                    }
                };
                torch_sys::ato_add_parameters(handle, parameter.as_ptr().cast_mut(), 0);
                Self(handle)
            }
        }

        fn step(&self, learning_rate: f64) {
            // SAFETY: the handle is valid.
            unsafe {
                torch_sys::ato_set_learning_rate(self.0, learning_rate);
                torch_sys::ato_step(self.0);
            }
        }
    }

    impl Drop for Plain {
        fn drop(&mut self) {
            // SAFETY: made by `new`, and freed once.
            unsafe { torch_sys::ato_free(self.0) };
        }
    }

    #[test]
    fn the_numbers_are_those_of_pytorchs_own_optimizers() {
        let start: Vec<f32> = (0..1000).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        for algorithm in [
            Algorithm::Adam { weight_decay: 0.0 },
            Algorithm::Adam { weight_decay: 0.01 },
            Algorithm::AdamW { weight_decay: 0.0 },
            Algorithm::AdamW { weight_decay: 0.05 },
            Algorithm::Sgd { momentum: 0.0, weight_decay: 0.0 },
            Algorithm::Sgd { momentum: 0.0, weight_decay: 0.01 },
            Algorithm::Sgd { momentum: 0.9, weight_decay: 0.0 },
            Algorithm::Sgd { momentum: 0.9, weight_decay: 0.01 },
        ] {
            let (fused, plain) = (parameter(&start), parameter(&start));
            let mut flat = Parameters::flatten(&fused).unwrap();
            let mut optimizer = Optimizer::new(algorithm, &flat).unwrap();
            let oracle = Plain::new(algorithm, &plain[0].1);
            for step in 0..100 {
                // a gradient that depends on the parameter and changes its sign; a rate that falls
                let loss = |x: &Tensor| (x.sin() * f64::from(step % 7) - x * x * 0.5).sum(Kind::Float);
                let rate = 0.01 / (1.0 + 0.1 * f64::from(step));
                loss(&fused[0].1).backward();
                flat.take_gradients().unwrap();
                optimizer.step(&mut flat, rate).unwrap();
                loss(&plain[0].1).backward();
                oracle.step(rate);
                let _ = plain[0].1.grad().zero_();
            }
            let difference = (&fused[0].1 - &plain[0].1).abs().max().double_value(&[]);
            let moved = (&fused[0].1 - Tensor::from_slice(&start)).abs().max().double_value(&[]);
            assert!(difference < 2e-5 && moved > 0.05, "{algorithm:?}: {difference} after {moved}");
        }
    }

    #[test]
    fn it_goes_on_from_a_state_as_if_nothing_had_happened() {
        for algorithm in [
            Algorithm::Adam { weight_decay: 0.01 },
            Algorithm::AdamW { weight_decay: 0.05 },
            Algorithm::Sgd { momentum: 0.9, weight_decay: 0.01 },
            Algorithm::Sgd { momentum: 0.0, weight_decay: 0.0 },
        ] {
            let start: Vec<f32> = (0..1000).map(|i| (i % 17) as f32 / 10.0).collect();
            let step = |parameters: &[(String, Tensor)], flat: &mut Parameters, optimizer: &mut Optimizer| {
                parameters[0].1.sin().sum(Kind::Float).backward();
                flat.take_gradients().unwrap();
                optimizer.step(flat, 0.01).unwrap();
            };
            for cut in [0, 1, 7] {
                let whole = parameter(&start);
                let mut flat = Parameters::flatten(&whole).unwrap();
                let mut optimizer = Optimizer::new(algorithm, &flat).unwrap();
                (0..cut).for_each(|_| step(&whole, &mut flat, &mut optimizer));
                let (numbers, state) = (flat.copy().unwrap(), optimizer.state().unwrap());
                (0..5).for_each(|_| step(&whole, &mut flat, &mut optimizer));

                let other = parameter(&vec![9.0; 1000]);
                let mut other_flat = Parameters::flatten(&other).unwrap();
                other_flat.set(&numbers).unwrap();
                let mut other_optimizer = Optimizer::new(algorithm, &other_flat).unwrap();
                other_optimizer.set_state(&state).unwrap();
                (0..5).for_each(|_| step(&other, &mut other_flat, &mut other_optimizer));
                assert_eq!(flat.copy().unwrap(), other_flat.copy().unwrap(), "{algorithm:?} after {cut}");
                assert_eq!(optimizer.state().unwrap(), other_optimizer.state().unwrap());
                assert_eq!(state.steps, cut as f32);
            }
        }
    }

    /// The second number has a gradient in the first step only.
    #[test]
    fn what_no_longer_moves_a_parameter_is_forgotten_before_it_is_subnormal() {
        for algorithm in [
            Algorithm::Adam { weight_decay: 0.0 },
            Algorithm::AdamW { weight_decay: 0.05 },
            Algorithm::Sgd { momentum: 0.9, weight_decay: 0.0 },
        ] {
            let step = |parameters: &[(String, Tensor)], flat: &mut Parameters, optimizer: &mut Optimizer, number| {
                let scale = Tensor::from_slice(&[1f32, if number == 0 { 1.0 } else { 0.0 }]);
                (parameters[0].1.sin() * scale).sum(Kind::Float).backward();
                flat.take_gradients().unwrap();
                optimizer.step(flat, 1e-3).unwrap();
            };
            let whole = parameter(&[0.1, 0.2]);
            let mut flat = Parameters::flatten(&whole).unwrap();
            let mut optimizer = Optimizer::new(algorithm, &flat).unwrap();
            let mut cut = None;
            for number in 0..1000 {
                // right before a step that forgets what is small by then
                if number == 575 {
                    cut = Some((flat.copy().unwrap(), optimizer.state().unwrap()));
                }
                step(&whole, &mut flat, &mut optimizer, number);
                let OptimizerState { first, second, .. } = optimizer.state().unwrap();
                assert!(!first.iter().chain(&second).any(|number| number.is_subnormal()), "{algorithm:?}, {number}");
            }
            let (numbers, state) = cut.unwrap();
            assert!(state.first[1] != 0.0);
            let end = optimizer.state().unwrap();
            assert!(end.first[0] != 0.0 && end.first[1] == 0.0, "{algorithm:?}: {end:?}");

            let other = parameter(&[9.0, 9.0]);
            let mut other_flat = Parameters::flatten(&other).unwrap();
            other_flat.set(&numbers).unwrap();
            let mut other_optimizer = Optimizer::new(algorithm, &other_flat).unwrap();
            other_optimizer.set_state(&state).unwrap();
            (575..1000).for_each(|number| step(&other, &mut other_flat, &mut other_optimizer, number));
            assert_eq!((flat.copy().unwrap(), end), (other_flat.copy().unwrap(), other_optimizer.state().unwrap()));
        }
    }

    #[test]
    fn the_state_of_another_optimizer_is_refused() {
        let flat = Parameters::flatten(&parameter(&[1.0, 2.0])).unwrap();
        let adam = Optimizer::new(Algorithm::Adam { weight_decay: 0.0 }, &flat).unwrap().state().unwrap();
        let mut sgd = Optimizer::new(Algorithm::Sgd { momentum: 0.9, weight_decay: 0.0 }, &flat).unwrap();
        assert!(sgd.set_state(&adam).unwrap_err().to_string().contains("another algorithm"));
        let fewer = OptimizerState { first: vec![0.0], ..OptimizerState::default() };
        assert!(sgd.set_state(&fewer).unwrap_err().to_string().contains("2 numbers and not 1"));
    }

    #[test]
    fn a_failure_is_an_error_and_not_a_panic() {
        let (few, mut many) = (parameter(&[1.0]), Parameters::flatten(&parameter(&[1.0, 2.0])).unwrap());
        let few = Parameters::flatten(&few).unwrap();
        let mut optimizer = Optimizer::new(Algorithm::Adam { weight_decay: 0.0 }, &few).unwrap();
        let failed = optimizer.step(&mut many, 0.1).unwrap_err();
        assert!(matches!(&failed, Error::Training { reason, .. } if !reason.contains('\n')), "{failed}");
    }
}
