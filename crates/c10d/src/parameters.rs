//! All parameters of a network in one tensor, and all their gradients in another: one exchange and one update for all of them.

use std::time::Duration;

use tch::Tensor;

use crate::ffi::{self, Handle, Message};
use crate::store::first_line;
use crate::{Error, Group, Op, Result};

/// The parameters of a network and their gradients.
#[derive(Debug)]
pub struct Parameters {
    handle: Handle,
    /// `count` gradients, and one number more.
    exchanged: *mut f32,
    count: usize,
}

impl Parameters {
    /// Moves the numbers of all tensors into one, of which each becomes a view with the strides that it had. Every other reference to
    /// these tensors, such as a network's, sees the same; views that were made of them before do not.
    ///
    /// # Errors
    /// [`Error::Training`] for a tensor that is not a leaf of floats on the CPU.
    pub fn flatten(parameters: &[(String, Tensor)]) -> Result<Self> {
        let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| ffi::pointer(tensor)).collect();
        let (mut handle, mut exchanged, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        // SAFETY: the array has `tensors.len()` entries, the tensors live for the call, libtorch keeps counted references of them; the
        // out pointers are valid for the call.
        let message =
            unsafe { ffi::parameters_new(tensors.as_ptr(), tensors.len(), &mut handle, &mut exchanged, &mut count) };
        check("gathering the parameters", message)?;
        Ok(Self { handle, exchanged, count })
    }

    /// Gives all workers of a group the numbers of rank 0.
    ///
    /// # Errors
    /// [`Error::Argument`] if the workers have not equally many, and the group's own errors.
    pub fn share(&mut self, group: &Group) -> Result<()> {
        let count = self.count as i64;
        let mut range = Tensor::from_slice(&[count, -count]);
        group.all_reduce(&mut range, Op::Max)?;
        let most = |at| range.int64_value(&[at]);
        if most(0) != -most(1) {
            return Err(Error::Argument(format!(
                "the workers train networks of {} to {} parameters: give all of them the same trial",
                -most(1),
                most(0)
            )));
        }
        group.broadcast_parameters(self.handle)
    }

    /// Takes the gradients that a backward pass left, so that the next one does not add to them.
    ///
    /// # Errors
    /// [`Error::Training`] if a parameter has none.
    pub fn take_gradients(&mut self) -> Result<()> {
        // SAFETY: the handle is valid, and `&mut self` says that nobody holds the gradients.
        check("taking the gradients", unsafe { ffi::parameters_take_gradients(self.handle) })
    }

    /// The gradients that were taken last, in the order of the parameters; zeros before that.
    pub fn gradients(&mut self) -> &mut [f32] {
        let count = self.count;
        &mut self.exchanged()[..count]
    }

    /// Averages the gradients of all workers, and a number of each, whose mean is the result. `limit` is that of [`Group::mean_within`].
    ///
    /// # Errors
    /// The group's own.
    pub fn average(&mut self, group: &Group, number: f32, limit: Duration) -> Result<f32> {
        let count = self.count;
        let exchanged = self.exchanged();
        exchanged[count] = number;
        group.mean_within(exchanged, limit)?;
        Ok(exchanged[count])
    }

    /// The parameters as they are now, in the order of their memory: what [`Self::set`] takes.
    ///
    /// # Errors
    /// [`Error::Training`] with libtorch's message.
    pub fn copy(&self) -> Result<Vec<f32>> {
        let mut numbers = vec![0.0; self.count];
        // SAFETY: the handle is valid, and there is room for as many numbers as the call is told.
        let message = unsafe { ffi::parameters_copy(self.handle, numbers.as_mut_ptr(), numbers.len()) };
        check("copying the parameters", message)?;
        Ok(numbers)
    }

    /// Replaces all parameters.
    ///
    /// # Errors
    /// [`Error::Training`] if these are not as many.
    pub fn set(&mut self, numbers: &[f32]) -> Result<()> {
        // SAFETY: the handle is valid, and as many numbers are there as the call is told.
        check("replacing the parameters", unsafe { ffi::parameters_set(self.handle, numbers.as_ptr(), numbers.len()) })
    }

    /// How many numbers all parameters have.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn exchanged(&mut self) -> &mut [f32] {
        // SAFETY: libtorch's tensor of `count` floats and one more, which lives and stays where it is as long as the handle; it is written
        // through `&mut self` alone.
        unsafe { std::slice::from_raw_parts_mut(self.exchanged, self.count + 1) }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        // SAFETY: the handle came from parameters_new and is freed once; the caller's tensors keep the numbers that they are views of.
        // If freeing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::parameters_free(self.handle)) };
    }
}

pub(crate) fn check(operation: &'static str, message: Message) -> Result<()> {
    // SAFETY: every caller passes what an entry of the shim returned.
    unsafe { ffi::take(message) }.map_err(|reason| Error::Training { operation, reason: first_line(&reason) })
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn a_network_sees_its_parameters_and_keeps_them() {
        let plain = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        let turned = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3]).transpose(0, 1);
        let parameters = [("plain", &plain), ("turned", &turned)]
            .map(|(name, tensor)| (name.to_owned(), tensor.copy().as_strided(tensor.size(), tensor.stride(), None)));
        let parameters = parameters.map(|(name, tensor)| (name, tensor.detach().set_requires_grad(true)));
        let mut flat = Parameters::flatten(&parameters).unwrap();
        for _ in 0..2 {
            let loss =
                (&parameters[0].1 * 2.0).sum(Kind::Float) + (&parameters[1].1 * &parameters[1].1).sum(Kind::Float);
            loss.backward();
            flat.take_gradients().unwrap();
            // in the order of memory, and not twice as much the second time
            assert_eq!(flat.gradients(), [2.0, 2.0, 2.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        }
        assert!(matches!(flat.take_gradients(), Err(Error::Training { .. })), "nothing is left to take");
        drop(flat);
        assert!(parameters[0].1.equal(&plain) && parameters[1].1.equal(&turned));
        assert_eq!(parameters[1].1.stride(), [1, 3]);
    }

    #[test]
    fn parameters_are_copied_and_replaced() {
        let parameters =
            [("x".to_owned(), Tensor::from_slice(&[1f32, -0.0, f32::MIN_POSITIVE]).set_requires_grad(true))];
        let mut flat = Parameters::flatten(&parameters).unwrap();
        let copy = flat.copy().unwrap();
        assert_eq!(
            copy.iter().map(|number| number.to_bits()).collect::<Vec<_>>(),
            [1f32.to_bits(), (-0f32).to_bits(), f32::MIN_POSITIVE.to_bits()]
        );
        flat.set(&[4.0, 5.0, 6.0]).unwrap();
        assert!(parameters[0].1.equal(&Tensor::from_slice(&[4f32, 5.0, 6.0])), "the network sees it");
        assert_eq!((flat.copy().unwrap(), flat.count(), copy.len()), (vec![4.0, 5.0, 6.0], 3, 3));
        assert!(flat.set(&[1.0]).unwrap_err().to_string().contains("3 numbers and not 1"));
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let whole = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        let error = Parameters::flatten(&[("x".to_owned(), whole)]).unwrap_err();
        assert!(error.to_string().contains("parameter 0 is not a leaf of floats"), "{error}");
    }
}
