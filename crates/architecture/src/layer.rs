//! The layers that networks are made of, and the parameters that these need.

/// One layer. A layer with parameters has a name, such as `conv1`; its parameters are `conv1.weight` and `conv1.bias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// Makes one row of numbers out of each image.
    Flatten,
    /// A fully connected layer.
    Linear {
        /// Names its parameters: `<name>.weight` and `<name>.bias`.
        name: String,
        /// Numbers in one row of its output.
        outputs: i64,
    },
    /// A convolution whose padding keeps the size of the image, which `stride` then divides (rounded up).
    Convolution {
        /// Names its parameters: `<name>.weight` and `<name>.bias`.
        name: String,
        /// Channels of its output.
        outputs: i64,
        /// Side of its filters in pixels, an odd number.
        side: i64,
        /// Pixels from one position of the filters to the next.
        stride: i64,
    },
    /// Normalises the channels of each image in groups (Wu and He, "Group Normalization", 2018).
    GroupNorm {
        /// Names its parameters: `<name>.weight` and `<name>.bias`.
        name: String,
        /// Number of groups; divides the number of channels.
        groups: i64,
    },
    /// The maximum of every 2 × 2 pixels; an odd last row or column is left out.
    MaxPool,
    /// Negative numbers become 0.
    Relu,
    /// During training, drops a share of the numbers and enlarges the others. The share is part of a model's configuration.
    Dropout,
    /// The sum of what two branches make of the same input.
    Residual {
        /// The branch that learns the difference; begins with a layer that has parameters.
        body: Vec<Layer>,
        /// The other branch, which must give the same shape; empty passes the input on, otherwise as for `body`.
        shortcut: Vec<Layer>,
    },
}

/// A tensor that training changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, such as `conv1.weight`; unique in a network.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its numbers before training.
    pub start: Start,
}

/// The numbers of a parameter before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Uniform from minus to plus this bound.
    Uniform(f64),
    /// All the same.
    Constant(f32),
}

impl Layer {
    /// A fully connected layer.
    pub(crate) fn linear(name: &str, outputs: i64) -> Self {
        Self::Linear { name: name.to_owned(), outputs }
    }

    /// A convolution of 3 × 3 pixels that keeps the size of the image.
    pub(crate) fn convolution(name: &str, outputs: i64) -> Self {
        Self::Convolution { name: name.to_owned(), outputs, side: 3, stride: 1 }
    }

    /// Adds this layer's parameters in the order of their use, each weight followed by its bias. Takes the shape of one image (channels,
    /// height, width; rows of numbers are as many channels of one pixel), and returns the shape of the layer's output.
    fn add_parameters(&self, [channels, height, width]: [i64; 3], all: &mut Vec<Parameter>) -> [i64; 3] {
        match self {
            Self::Flatten => [channels * height * width, 1, 1],
            Self::Linear { name, outputs } => {
                add(all, name, vec![*outputs, channels], uniform(channels));
                [*outputs, 1, 1]
            }
            Self::Convolution { name, outputs, side, stride } => {
                add(all, name, vec![*outputs, channels, *side, *side], uniform(channels * side * side));
                [*outputs, (height + stride - 1) / stride, (width + stride - 1) / stride]
            }
            Self::GroupNorm { name, .. } => {
                add(all, name, vec![channels], [Start::Constant(1.0), Start::Constant(0.0)]);
                [channels, height, width]
            }
            Self::MaxPool => [channels, height / 2, width / 2],
            Self::Relu | Self::Dropout => [channels, height, width],
            Self::Residual { body, shortcut } => {
                let input = [channels, height, width];
                let output = parameters(body, input, all);
                parameters(shortcut, input, all);
                output
            }
        }
    }
}

/// Adds the parameters of consecutive layers, and returns the shape of their output.
pub(crate) fn parameters(layers: &[Layer], input: [i64; 3], all: &mut Vec<Parameter>) -> [i64; 3] {
    layers.iter().fold(input, |shape, layer| layer.add_parameters(shape, all))
}

/// Adds a weight, and a bias with one number for each of the weight's first dimension.
fn add(all: &mut Vec<Parameter>, name: &str, shape: Vec<i64>, [weight, bias]: [Start; 2]) {
    let outputs = shape[..1].to_vec();
    all.push(Parameter { name: format!("{name}.weight"), shape, start: weight });
    all.push(Parameter { name: format!("{name}.bias"), shape: outputs, start: bias });
}

/// How PyTorch initialises weight and bias of linear and convolutional layers: uniform in ±1/√(inputs of one output).
fn uniform(inputs: i64) -> [Start; 2] {
    [Start::Uniform(1.0 / (inputs as f64).sqrt()); 2]
}
