//! The fused operation beside the two of libtorch that it replaces.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use slipway_kernels::max_pool_relu;
use tch::{Device, Kind, Tensor};

/// How the numbers of images lie in memory.
#[derive(Clone, Copy, Debug)]
enum Order {
    Channels,
    Pixels,
}

fn images(numbers: &[f32], [n, channels, height, width]: [i64; 4], order: Order) -> Tensor {
    match order {
        Order::Channels => Tensor::from_slice(numbers).reshape([n, channels, height, width]),
        // strides that say so even where there is a single channel
        Order::Pixels => Tensor::from_slice(numbers).as_strided(
            [n, channels, height, width],
            [height * width * channels, 1, width * channels, channels],
            None,
        ),
    }
}

/// Many equal numbers, and those on which comparisons differ.
fn numbers(random: &mut fastrand::Rng, shape: [i64; 4]) -> Vec<f32> {
    let special = [0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -1e-40];
    let count = shape.iter().product::<i64>();
    (0..count)
        .map(|_| match random.u8(0..10) {
            0 | 1 => special[random.usize(..special.len())],
            // elsewhere, whether libtorch's relu keeps it depends on where it is
            2 if cfg!(target_arch = "x86_64") => -0.0,
            3..6 => f32::from(random.i8(-2..3)),
            _ => random.f32() - 0.5,
        })
        .collect()
}

/// The output, and the gradient of the images for this gradient of the output.
fn outcome(operation: impl Fn(&Tensor) -> Tensor, images: &Tensor, gradient: &Tensor) -> [Tensor; 2] {
    let x = images.detach().set_requires_grad(true);
    let y = operation(&x);
    let loss = if gradient.dim() == 2 { y.flatten(1, -1) * gradient } else { &y * gradient }.sum(Kind::Float);
    let mut gradients = Tensor::run_backward(&[loss], &[&x], false, false);
    [y.detach(), gradients.remove(0)]
}

fn plain(x: &Tensor) -> Tensor {
    x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false).relu()
}

fn fused(x: &Tensor) -> Tensor {
    max_pool_relu(x).unwrap()
}

fn check(random: &mut fastrand::Rng, shape: [i64; 4], order: Order) {
    let [n, channels, height, width] = shape;
    let pooled = [n, channels, height / 2, width / 2];
    let x = images(&numbers(random, shape), shape, order);
    for of_gradient in [Order::Channels, Order::Pixels] {
        let gradient = images(&numbers(random, pooled), pooled, of_gradient);
        // the gradient of a fully connected layer comes as rows
        for gradient in [gradient.flatten(1, -1), gradient] {
            let [want, found] = [outcome(plain, &x, &gradient), outcome(fused, &x, &gradient)];
            for (want, found) in want.iter().zip(&found) {
                assert_eq!(want.size(), found.size(), "{shape:?}");
                assert!(bits(want).equal(&bits(found)), "{shape:?} {order:?}, gradient {of_gradient:?}");
                assert!(is_by_pixels(found), "{shape:?} {order:?}: {:?}", found.stride());
            }
        }
    }
}

/// NaN is equal to itself, and 0.0 is not -0.0.
fn bits(tensor: &Tensor) -> Tensor {
    tensor.contiguous().view_dtype(Kind::Int)
}

fn is_by_pixels(images: &Tensor) -> bool {
    let [_, channels, height, width] = images.size()[..] else { return false };
    images.stride() == [height * width * channels, 1, width * channels, channels]
}

#[test]
fn output_and_gradient_have_the_bits_of_libtorchs_operations() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..300 {
        let shape = [random.i64(1..4), random.i64(1..41), random.i64(2..10), random.i64(2..10)];
        let order = if random.bool() { Order::Channels } else { Order::Pixels };
        check(&mut random, shape, order);
    }
    // the smallest; those of the `cnn`, which several threads share; one of odd sides
    for shape in [[1, 1, 2, 2], [1, 1, 3, 3], [32, 16, 28, 28], [32, 32, 14, 14], [16, 19, 29, 31]] {
        check(&mut random, shape, Order::Pixels);
    }
}

#[test]
fn an_empty_batch_is_answered() {
    let x = Tensor::zeros([0, 3, 4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let y = max_pool_relu(&x).unwrap();
    assert_eq!(y.size(), [0, 3, 2, 2]);
    let gradients = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false);
    assert_eq!(gradients[0].size(), [0, 3, 4, 4]);
}

#[test]
fn numbers_that_are_not_in_memory_as_they_are_get_there_first() {
    let shape = [2, 3, 4, 4];
    let zeros = Tensor::internal_efficientzerotensor(shape, (Kind::Float, Device::Cpu));
    let numbers: Vec<f32> = (0..96_u8).map(|number| f32::from(number) - 47.5).collect();
    let negative = images(&numbers, shape, Order::Pixels).internal_neg_view();
    for x in [zeros, negative] {
        assert!(bits(&fused(&x)).equal(&bits(&plain(&x))), "{x:?}");
    }
}

#[test]
fn what_it_does_not_take_is_refused() {
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
    for (x, problem) in [
        (zeros(&[3, 4, 4], Kind::Float), "[n, channels, height, width]"),
        (zeros(&[1, 3, 4, 4], Kind::Double), "floats"),
        (zeros(&[1, 3, 1, 4], Kind::Float), "1 x 4 pixels"),
        (zeros(&[1, 3, 4, 1], Kind::Float), "4 x 1 pixels"),
    ] {
        let error = max_pool_relu(&x).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn its_gradient_has_none() {
    let x = Tensor::ones([1, 1, 2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let loss = max_pool_relu(&x).unwrap().square().sum(Kind::Float);
    let error = Tensor::f_run_backward(&[&loss], &[&x], true, true).unwrap_err().to_string();
    assert!(error.contains("differentiated once only"), "{error}");
    // the gradient of a sum is a constant, which has no gradient itself
    let sum = max_pool_relu(&x).unwrap().sum(Kind::Float);
    let gradients = Tensor::run_backward(&[sum], &[&x], true, true);
    assert!(!gradients[0].requires_grad());
}
