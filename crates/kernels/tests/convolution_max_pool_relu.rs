//! The fused operation beside the three of libtorch that it replaces.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use slipway_kernels::convolution_max_pool_relu;
use tch::{Device, Kind, Tensor};

const FLOATS: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Images, weight, bias, and the gradient of what comes out.
struct Case {
    images: Tensor,
    weight: Tensor,
    bias: Tensor,
    gradient: Tensor,
}

impl Case {
    /// Every sum of these numbers is exact in floats, in whichever order it is taken. Many are equal, so pools have ties.
    fn exact(random: &mut fastrand::Rng, [n, channels, height, width]: [i64; 4]) -> Self {
        let mut numbers = |shape: &[i64], least: i16, most: i16, unit: f32| {
            let count = shape.iter().product::<i64>();
            let numbers: Vec<f32> = (0..count).map(|_| f32::from(random.i16(least..=most)) * unit).collect();
            Tensor::from_slice(&numbers).reshape(shape)
        };
        Self {
            images: numbers(&[n, 1, height, width], -2, 5, 0.25),
            weight: numbers(&[channels, 1, 3, 3], -4, 4, 0.125),
            bias: numbers(&[channels], -4, 4, 0.125),
            gradient: numbers(&[n, channels, height / 2, width / 2], -8, 8, 0.25),
        }
    }

    fn random(random: &mut fastrand::Rng, [n, channels, height, width]: [i64; 4]) -> Self {
        let mut numbers = |shape: &[i64]| {
            let count = shape.iter().product::<i64>();
            Tensor::from_slice(&(0..count).map(|_| random.f32() - 0.5).collect::<Vec<_>>()).reshape(shape)
        };
        Self {
            images: numbers(&[n, 1, height, width]),
            weight: numbers(&[channels, 1, 3, 3]),
            bias: numbers(&[channels]),
            gradient: numbers(&[n, channels, height / 2, width / 2]),
        }
    }

    /// The output, and the gradients of weight and bias.
    fn outcome(&self, operation: impl Fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> [Tensor; 3] {
        let [weight, bias] = [&self.weight, &self.bias].map(|tensor| tensor.detach().set_requires_grad(true));
        let y = operation(&self.images, &weight, &bias);
        let loss = (&y * &self.gradient).sum(Kind::Float);
        let mut gradients = Tensor::run_backward(&[loss], &[&weight, &bias], false, false);
        let (of_bias, of_weight) = (gradients.pop().unwrap(), gradients.pop().unwrap());
        [y.detach(), of_weight, of_bias]
    }
}

fn plain(images: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let x = images.conv2d(weight, Some(bias), [1, 1], [1, 1], [1, 1], 1);
    x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false).relu()
}

fn fused(images: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    convolution_max_pool_relu(images, weight, bias).unwrap()
}

/// The channels of a pixel next to each other, or the taps of a filter, one after the other.
fn by_pixels(tensor: &Tensor) -> Tensor {
    let [n, channels, height, width] = tensor.size()[..] else { unreachable!("images or filters") };
    let pixels = tensor.permute([0, 2, 3, 1]).contiguous();
    pixels.as_strided([n, channels, height, width], [height * width * channels, 1, width * channels, channels], None)
}

/// The same numbers with others between them.
fn with_gaps(tensor: &Tensor) -> Tensor {
    Tensor::stack(&[tensor, &tensor.ones_like()], -1).select(-1, 0)
}

fn assert_same(found: &[Tensor; 3], want: &[Tensor; 3], shape: [i64; 4]) {
    for (what, (found, want)) in ["output", "weight", "bias"].iter().zip(found.iter().zip(want)) {
        assert!(found.equal(want), "{what} of {shape:?}: {found} and not {want}");
    }
}

#[test]
fn output_and_gradients_are_those_of_libtorchs_operations() {
    let mut random = fastrand::Rng::with_seed(1);
    // each number of channels, so each way to split it into vectors
    let small = (1..41).map(|channels| [random.i64(1..4), channels, random.i64(2..12), random.i64(2..12)]);
    let mut shapes: Vec<_> = small.collect();
    // the smallest; that of the `cnn`, which several threads share; one of odd sides
    shapes.extend([[1, 1, 2, 2], [32, 16, 28, 28], [16, 19, 29, 31]]);
    for shape in shapes {
        let case = Case::exact(&mut random, shape);
        let (want, found) = (case.outcome(plain), case.outcome(fused));
        assert_same(&found, &want, shape);
        let [_, channels, height, width] = shape;
        let pooled = [height / 2, width / 2];
        assert_eq!(found[0].stride(), [pooled[0] * pooled[1] * channels, 1, pooled[1] * channels, channels]);
        // however the numbers lie in memory
        let Case { images, weight, bias, gradient } = &case;
        let other = Case {
            images: by_pixels(images),
            weight: by_pixels(weight),
            bias: with_gaps(bias),
            gradient: by_pixels(gradient),
        };
        assert_same(&other.outcome(fused), &want, shape);
        let other = Case {
            images: with_gaps(images),
            weight: with_gaps(weight),
            bias: bias.shallow_clone(),
            gradient: with_gaps(gradient),
        };
        assert_same(&other.outcome(fused), &want, shape);
    }
}

#[test]
fn numbers_that_are_not_exact_are_rounded_alike() {
    let mut random = fastrand::Rng::with_seed(2);
    for shape in [[3, 16, 28, 28], [2, 5, 9, 13], [1, 24, 8, 8]] {
        let case = Case::random(&mut random, shape);
        let (want, found) = (case.outcome(plain), case.outcome(fused));
        // of nearly equal pixels the two may take different ones, so the gradients are compared where sums are exact
        assert!((&found[0] - &want[0]).abs().max().double_value(&[]) < 1e-6, "{shape:?}");
    }
}

#[test]
fn the_number_of_threads_and_the_rest_of_the_batch_change_no_bit() {
    let mut random = fastrand::Rng::with_seed(3);
    let case = Case::random(&mut random, [37, 16, 28, 28]);
    let before = tch::get_num_threads();
    let outcomes = [1, 2, 5].map(|threads| {
        tch::set_num_threads(threads);
        case.outcome(fused)
    });
    tch::set_num_threads(before);
    for outcome in &outcomes[1..] {
        assert_same(outcome, &outcomes[0], [37, 16, 28, 28]);
    }
    let alone = fused(&case.images.narrow(0, 20, 1), &case.weight, &case.bias);
    assert!(alone.equal(&outcomes[0][0].narrow(0, 20, 1)));
}

#[test]
fn a_number_that_is_none_is_none_afterwards() {
    let mut random = fastrand::Rng::with_seed(4);
    for (of_images, of_weight) in [(true, false), (false, true)] {
        let case = Case::exact(&mut random, [2, 19, 8, 9]);
        if of_images {
            let _ = case.images.narrow(0, 1, 1).narrow(2, 3, 1).narrow(3, 4, 1).fill_(f64::NAN);
        }
        if of_weight {
            let _ = case.weight.narrow(0, 17, 1).narrow(2, 1, 1).narrow(3, 1, 1).fill_(f64::NAN);
        }
        let (want, found) = (case.outcome(plain), case.outcome(fused));
        let are_none = want[0].isnan();
        assert!(are_none.any().int64_value(&[]) == 1 && found[0].isnan().equal(&are_none));
        assert!(found[0].nan_to_num(0.0, 0.0, 0.0).equal(&want[0].nan_to_num(0.0, 0.0, 0.0)));
        // the gradient of a filter is made of pixels
        assert_eq!(found[1].isnan().any().int64_value(&[]) == 1, of_images);
        assert!(found[2].equal(&want[2]));
    }
}

#[test]
fn an_empty_batch_is_answered() {
    let weight = Tensor::ones([5, 1, 3, 3], FLOATS).set_requires_grad(true);
    let bias = Tensor::ones([5], FLOATS).set_requires_grad(true);
    let y = fused(&Tensor::zeros([0, 1, 4, 4], FLOATS), &weight, &bias);
    assert_eq!(y.size(), [0, 5, 2, 2]);
    let gradients = Tensor::run_backward(&[y.sum(Kind::Float)], &[&weight, &bias], false, false);
    assert!(
        gradients[0].equal(&Tensor::zeros([5, 1, 3, 3], FLOATS)) && gradients[1].equal(&Tensor::zeros([5], FLOATS))
    );
}

#[test]
fn what_it_does_not_take_is_refused() {
    let zeros = |shape: &[i64]| Tensor::zeros(shape, FLOATS);
    let (images, weight, bias) = (|| zeros(&[1, 1, 4, 4]), || zeros(&[5, 1, 3, 3]), || zeros(&[5]));
    for ([images, weight, bias], problem) in [
        ([zeros(&[1, 4, 4]), weight(), bias()], "[n, 1, height, width]"),
        ([zeros(&[1, 2, 4, 4]), weight(), bias()], "[n, 1, height, width]"),
        ([images().to_kind(Kind::Double), weight(), bias()], "floats"),
        ([images().set_requires_grad(true), weight(), bias()], "no gradient of its images"),
        ([zeros(&[1, 1, 1, 4]), weight(), bias()], "1 x 4 pixels"),
        ([zeros(&[1, 1, 4, 1]), weight(), bias()], "4 x 1 pixels"),
        ([images(), zeros(&[5, 1, 5, 5]), bias()], "[channels, 1, 3, 3]"),
        ([images(), zeros(&[5, 9]), bias()], "[channels, 1, 3, 3]"),
        ([images(), weight(), zeros(&[4])], "as many channels"),
    ] {
        let error = convolution_max_pool_relu(&images, &weight, &bias).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn its_gradient_has_none() {
    let weight = Tensor::ones([1, 1, 3, 3], FLOATS).set_requires_grad(true);
    let [images, bias] = [Tensor::ones([1, 1, 2, 2], FLOATS), Tensor::ones([1], FLOATS)];
    let loss = fused(&images, &weight, &bias).square().sum(Kind::Float);
    let error = Tensor::f_run_backward(&[&loss], &[&weight], true, true).unwrap_err().to_string();
    assert!(error.contains("differentiated once only"), "{error}");
}
