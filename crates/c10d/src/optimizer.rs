//! libtorch's optimizers. tch wraps them too, but panics when they fail.

use tch::Tensor;

use crate::ffi;
use crate::{Error, Result};

/// Updates parameters from their gradients.
#[derive(Debug)]
pub struct Optimizer {
    handle: *mut torch_sys::C_optimizer,
}

impl Optimizer {
    /// Adam of Kingma and Ba (2015), with PyTorch's defaults except for the learning rate. `weight_decay` times each parameter is added to
    /// its gradient.
    ///
    /// # Errors
    /// [`Error::Optimizer`] when libtorch refuses a setting or a parameter.
    pub fn adam(parameters: &[(String, Tensor)], learning_rate: f64, weight_decay: f64) -> Result<Self> {
        // SAFETY: the arguments are plain numbers.
        let handle = unsafe { torch_sys::ato_adam(learning_rate, 0.9, 0.999, weight_decay, 1e-8, false) };
        Self::over(parameters, handle)
    }

    /// AdamW of Loshchilov and Hutter (2019): Adam, where each step takes `learning_rate` × `weight_decay` of a parameter from it, whatever
    /// its gradient.
    ///
    /// # Errors
    /// [`Error::Optimizer`] when libtorch refuses a setting or a parameter.
    pub fn adamw(parameters: &[(String, Tensor)], learning_rate: f64, weight_decay: f64) -> Result<Self> {
        // SAFETY: the arguments are plain numbers.
        let handle = unsafe { torch_sys::ato_adamw(learning_rate, 0.9, 0.999, weight_decay, 1e-8, false) };
        Self::over(parameters, handle)
    }

    /// Stochastic gradient descent with momentum. `weight_decay` times each parameter is added to its gradient.
    ///
    /// # Errors
    /// [`Error::Optimizer`] when libtorch refuses a setting or a parameter.
    pub fn sgd(parameters: &[(String, Tensor)], learning_rate: f64, momentum: f64, weight_decay: f64) -> Result<Self> {
        // SAFETY: the arguments are plain numbers.
        let handle = unsafe { torch_sys::ato_sgd(learning_rate, momentum, 0.0, weight_decay, 0) };
        Self::over(parameters, handle)
    }

    fn over(parameters: &[(String, Tensor)], handle: *mut torch_sys::C_optimizer) -> Result<Self> {
        last_error("setting up the optimizer")?;
        let optimizer = Self { handle };
        for (_, tensor) in parameters {
            // SAFETY: both pointers are valid for the call; libtorch keeps a counted reference of the tensor.
            unsafe { torch_sys::ato_add_parameters(optimizer.handle, tensor.as_ptr().cast_mut(), 0) };
            last_error("giving a parameter to the optimizer")?;
        }
        Ok(optimizer)
    }

    /// Changes the learning rate of the steps to come.
    ///
    /// # Errors
    /// [`Error::Optimizer`] with libtorch's message.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        // SAFETY: the handle is valid, and `&mut self` keeps others away for the call.
        unsafe { torch_sys::ato_set_learning_rate(self.handle, learning_rate) };
        last_error("changing the learning rate")
    }

    /// Updates every parameter that has a gradient.
    ///
    /// # Errors
    /// [`Error::Optimizer`] with libtorch's message, for instance when memory is exhausted.
    pub fn step(&mut self) -> Result<()> {
        // SAFETY: the handle is valid, and `&mut self` keeps others away for the call.
        unsafe { torch_sys::ato_step(self.handle) };
        last_error("updating the parameters")
    }
}

impl Drop for Optimizer {
    fn drop(&mut self) {
        // SAFETY: the handle came from a constructor that succeeded and is freed once.
        unsafe { torch_sys::ato_free(self.handle) };
    }
}

/// The error of this thread's last call into torch-sys.
fn last_error(operation: &'static str) -> Result<()> {
    // SAFETY: the message is null or made by strdup, and is ours from here on.
    unsafe { ffi::take(torch_sys::get_and_reset_last_err()) }.map_err(|reason| Error::Optimizer {
        operation,
        // a C++ backtrace follows
        reason: reason.lines().next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn parameter() -> Vec<(String, Tensor)> {
        vec![("x".to_owned(), Tensor::full([2], 1.0, (Kind::Float, Device::Cpu)).set_requires_grad(true))]
    }

    /// The parameter, which begins at 1, after steps along the gradient of sum(x²), one for each learning rate.
    fn after(make: impl Fn(&[(String, Tensor)]) -> Result<Optimizer>, learning_rates: &[f64]) -> f64 {
        let parameters = parameter();
        let mut optimizer = make(&parameters).unwrap();
        for rate in learning_rates {
            optimizer.set_learning_rate(*rate).unwrap();
            crate::zero_grad(&parameters).unwrap();
            (&parameters[0].1 * &parameters[0].1).sum(Kind::Float).backward();
            optimizer.step().unwrap();
        }
        parameters[0].1.double_value(&[0])
    }

    #[test]
    fn a_step_follows_the_gradient() {
        // the gradient at 1 is 2
        let plain = after(|p| Optimizer::sgd(p, 0.1, 0.0, 0.0), &[0.1]);
        assert!((plain - 0.8).abs() < 1e-6, "{plain}");
    }

    #[test]
    fn each_setting_has_its_effect() {
        // 1 − 0.1 · 2 = 0.8, then 0.8 − 0.01 · 1.6
        let slower = after(|p| Optimizer::sgd(p, 0.1, 0.0, 0.0), &[0.1, 0.01]);
        assert!((slower - 0.784).abs() < 1e-6, "{slower}");
        // the second step adds half of the first gradient: 0.8 − 0.1 · (1.6 + 1)
        let heavy = after(|p| Optimizer::sgd(p, 0.1, 0.5, 0.0), &[0.1, 0.1]);
        assert!((heavy - 0.54).abs() < 1e-6, "{heavy}");
        // the gradient is 2 + 0.5
        let decayed = after(|p| Optimizer::sgd(p, 0.1, 0.0, 0.5), &[0.1]);
        assert!((decayed - 0.75).abs() < 1e-6, "{decayed}");
        // Adam's first step is the learning rate, however large the gradient; AdamW takes 0.1 · 0.5 off before it
        let adam = after(|p| Optimizer::adam(p, 0.1, 0.5), &[0.1]);
        assert!((adam - 0.9).abs() < 1e-6, "{adam}");
        let adamw = after(|p| Optimizer::adamw(p, 0.1, 0.5), &[0.1]);
        assert!((adamw - 0.85).abs() < 1e-6, "{adamw}");
    }

    #[test]
    fn a_failure_is_an_error_and_not_a_panic() {
        assert!(matches!(Optimizer::adam(&parameter(), -1.0, 0.0), Err(Error::Optimizer { .. })));
        // a gradient of another shape, which autograd refuses to set; the data behind the parameter changes under it instead
        let parameters = parameter();
        let mut optimizer = Optimizer::adam(&parameters, 0.1, 0.0).unwrap();
        parameters[0].1.sum(Kind::Float).backward();
        let mut grad = parameters[0].1.grad();
        grad.set_data(&Tensor::zeros([3], (Kind::Float, Device::Cpu)));
        let failed = optimizer.step().unwrap_err();
        assert!(matches!(&failed, Error::Optimizer { reason, .. } if !reason.contains('\n')), "{failed}");
    }
}
