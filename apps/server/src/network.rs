//! A model in libtorch: a built-in network, TorchScript, or a compiled package.

use std::ffi::CString;
use std::path::Path;

use slipway_c10d::Engine;
use slipway_model::{Bundle, Prepared};
use slipway_signature::{Content, Servable};

use crate::interface::Interface;
use crate::tensor::{Array, Elements};

/// A model, for one thread at a time.
#[derive(Debug)]
pub enum Network {
    /// A built-in network.
    BuiltIn(Box<Prepared>),
    /// Any other, with the names of its outputs.
    Engine(Engine, Vec<CString>),
}

impl Network {
    /// Loads what a version's folder holds, to be shared by this many threads.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(content: Content, folder: &Path, threads: usize) -> Result<(Self, Interface), String> {
        // OpenMP keeps this number for each thread, and this is not one of the workers.
        tch::set_num_threads(1);
        if content == Content::Bundle {
            let bundle = Bundle::load(folder).map_err(|error| error.to_string())?;
            let interface = Interface::of_bundle(bundle.config());
            let prepared = Prepared::new(bundle).map_err(|error| error.to_string())?;
            return Ok((Self::BuiltIn(Box::new(prepared)), interface));
        }
        let servable = Servable::read(folder).map_err(|error| error.to_string())?;
        let file = servable.path(folder);
        let engine = match servable.engine {
            slipway_signature::Engine::TorchScript => Engine::script(&file),
            slipway_signature::Engine::AotInductor => Engine::package(&file, threads),
        };
        let engine = engine.map_err(|error| {
            format!("slipway/{} does not load as {}: {error}", servable.file, servable.engine.as_str())
        })?;
        let names = servable.outputs.iter().map(|output| CString::new(output.name.as_str()));
        let names = names.collect::<Result<_, _>>().map_err(|error| format!("slipway/model.json: {error}"))?;
        Ok((Self::Engine(engine, names), Interface::of_servable(&servable)))
    }

    /// One for another thread, with the same weights.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn share(&self) -> Result<Self, String> {
        match self {
            Self::BuiltIn(prepared) => Ok(Self::BuiltIn(Box::new(prepared.share()))),
            Self::Engine(engine, names) => {
                let engine = engine.share().map_err(|error| error.to_string())?;
                Ok(Self::Engine(engine, names.clone()))
            }
        }
    }

    /// Runs the model. The inputs are as its interface says; so are the outputs, which are checked. A built-in network gives its features as the last one if
    /// they are wanted.
    ///
    /// # Errors
    /// Why it fails, or how its answer differs from its signature.
    pub fn run(&mut self, interface: &Interface, inputs: &[Array], features: bool) -> Result<Vec<Array>, String> {
        match self {
            Self::BuiltIn(prepared) => classify(|images, rows, to| prepared.answer(images, rows, to), inputs, features),
            Self::Engine(engine, names) => {
                let tensors = inputs.iter().map(Array::to_tensor).collect::<Result<Vec<_>, _>>();
                let tensors = tensors.map_err(|error| error.to_string())?;
                let outputs = engine.run(&tensors, names).map_err(|error| error.to_string())?;
                let rows = inputs.first().map_or(1, Array::rows);
                outputs
                    .iter()
                    .zip(&interface.outputs)
                    .map(|(tensor, spec)| {
                        let array = Array::of_tensor(tensor).map_err(|error| format!("{}: {error}", spec.name))?;
                        let datatype = array.elements.datatype();
                        if datatype != spec.datatype || !spec.fits(&array.shape) {
                            let (shape, declared) = (&array.shape, &spec.shape);
                            return Err(format!(
                                "its output `{}` is {datatype} {shape:?}, but its signature says {} {declared:?}",
                                spec.name, spec.datatype
                            ));
                        }
                        if interface.batched && array.rows() != rows {
                            return Err(format!(
                                "its output `{}` has {} rows for {rows} rows",
                                spec.name,
                                array.rows()
                            ));
                        }
                        Ok(array)
                    })
                    .collect()
            }
        }
    }
}

/// The probabilities of a built-in network, the class with the highest one for each image, and the features if they are wanted. `answer` gives the
/// probabilities, and appends the features.
///
/// # Errors
/// Why it fails.
pub fn classify(
    answer: impl FnOnce(&[f32], usize, Option<&mut Vec<f32>>) -> slipway_model::Result<Vec<f32>>,
    inputs: &[Array],
    features: bool,
) -> Result<Vec<Array>, String> {
    let [Array { shape, elements: Elements::Fp32(images) }] = inputs else {
        return Err("it takes one tensor of images".to_owned());
    };
    let count = shape.first().copied().unwrap_or_default();
    let rows = usize::try_from(count).unwrap_or_default();
    let mut features = features.then(Vec::new);
    let probabilities = answer(images, rows, features.as_mut()).map_err(|error| error.to_string())?;
    if !probabilities.iter().all(|number| number.is_finite()) {
        return Err("it returned numbers that are not finite".to_owned());
    }
    let classes = probabilities.len() / rows.max(1);
    let labels = probabilities.chunks(classes.max(1)).map(best).collect();
    let mut outputs = vec![
        Array { shape: vec![count, classes as i64], elements: Elements::Fp32(probabilities) },
        Array { shape: vec![count], elements: Elements::Int64(labels) },
    ];
    if let Some(features) = features {
        let width = features.len() / rows.max(1);
        outputs.push(Array { shape: vec![count, width as i64], elements: Elements::Fp32(features) });
    }
    Ok(outputs)
}

/// The index of the highest probability. On a tie the first class wins, as in other implementations of argmax.
fn best(row: &[f32]) -> i64 {
    (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best }) as i64
}
