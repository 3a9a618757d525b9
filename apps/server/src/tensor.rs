//! Tensors outside of libtorch: what requests bring, and what answers carry.

use half::{bf16, f16};
use serde::{Serialize, Serializer};
use slipway_signature::Datatype;
use tch::{Kind, TchError, Tensor};

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its dimensions, the outermost first.
    pub shape: Vec<i64>,
    /// Its elements, row by row: as many as the shape says.
    pub elements: Elements,
}

/// The elements of a tensor, by datatype.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// BOOL.
    Bool(Vec<bool>),
    /// UINT8.
    Uint8(Vec<u8>),
    /// INT8.
    Int8(Vec<i8>),
    /// INT16.
    Int16(Vec<i16>),
    /// INT32.
    Int32(Vec<i32>),
    /// INT64.
    Int64(Vec<i64>),
    /// FP16.
    Fp16(Vec<f16>),
    /// BF16.
    Bf16(Vec<bf16>),
    /// FP32.
    Fp32(Vec<f32>),
    /// FP64.
    Fp64(Vec<f64>),
}

/// Evaluates an expression with the list of elements, whatever its type is.
macro_rules! each {
    ($elements:expr, $list:ident => $body:expr) => {
        match $elements {
            $crate::tensor::Elements::Bool($list) => $body,
            $crate::tensor::Elements::Uint8($list) => $body,
            $crate::tensor::Elements::Int8($list) => $body,
            $crate::tensor::Elements::Int16($list) => $body,
            $crate::tensor::Elements::Int32($list) => $body,
            $crate::tensor::Elements::Int64($list) => $body,
            $crate::tensor::Elements::Fp16($list) => $body,
            $crate::tensor::Elements::Bf16($list) => $body,
            $crate::tensor::Elements::Fp32($list) => $body,
            $crate::tensor::Elements::Fp64($list) => $body,
        }
    };
}

/// Evaluates an expression with the type of a datatype's elements.
macro_rules! of_type {
    ($datatype:expr, $type:ident => $body:expr) => {
        match $datatype {
            slipway_signature::Datatype::Bool => {
                type $type = bool;
                $body
            }
            slipway_signature::Datatype::Uint8 => {
                type $type = u8;
                $body
            }
            slipway_signature::Datatype::Int8 => {
                type $type = i8;
                $body
            }
            slipway_signature::Datatype::Int16 => {
                type $type = i16;
                $body
            }
            slipway_signature::Datatype::Int32 => {
                type $type = i32;
                $body
            }
            slipway_signature::Datatype::Int64 => {
                type $type = i64;
                $body
            }
            slipway_signature::Datatype::Fp16 => {
                type $type = half::f16;
                $body
            }
            slipway_signature::Datatype::Bf16 => {
                type $type = half::bf16;
                $body
            }
            slipway_signature::Datatype::Fp32 => {
                type $type = f32;
                $body
            }
            slipway_signature::Datatype::Fp64 => {
                type $type = f64;
                $body
            }
        }
    };
}

pub(crate) use {each, of_type};

/// A type of elements.
pub trait Element: tch::kind::Element + Copy + Default + Send + Sync + 'static {
    /// What the protocol calls it.
    const DATATYPE: Datatype;
    /// Its form in JSON.
    type Json: Serialize;

    /// A number with a fraction or an exponent; `None` if this type does not hold it. Fractions are rounded to the nearest number.
    fn of_float(number: f64) -> Option<Self>;
    /// A whole number; `None` if this type does not hold it.
    fn of_integer(number: i128) -> Option<Self>;
    /// A truth value; `None` if this type does not hold it.
    fn of_bool(_: bool) -> Option<Self> {
        None
    }
    /// Its little-endian bytes, which are [`Datatype::size`] many.
    fn of_bytes(bytes: &[u8]) -> Self;
    /// Appends its little-endian bytes.
    fn write(self, bytes: &mut Vec<u8>);
    /// As JSON.
    fn json(self) -> Self::Json;
    /// The nearest double.
    fn as_f64(self) -> f64;
    /// Many of them.
    fn list(list: Vec<Self>) -> Elements;
}

macro_rules! integers {
    ($($type:ident $name:ident),*) => {$(
        impl Element for $type {
            const DATATYPE: Datatype = Datatype::$name;
            type Json = Self;

            fn of_float(number: f64) -> Option<Self> {
                if number.fract() == 0.0 && number.abs() < 1e19 { Self::of_integer(number as i128) } else { None }
            }
            fn of_integer(number: i128) -> Option<Self> {
                Self::try_from(number).ok()
            }
            fn of_bytes(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn json(self) -> Self {
                self
            }
            fn as_f64(self) -> f64 {
                self as f64
            }
            fn list(list: Vec<Self>) -> Elements {
                Elements::$name(list)
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ident $name:ident $json:ident $from:path, $to:path;)*) => {$(
        impl Element for $type {
            const DATATYPE: Datatype = Datatype::$name;
            type Json = $json;

            fn of_float(number: f64) -> Option<Self> {
                let rounded = $from(number);
                // beyond the type's largest number it would become infinite
                (rounded.is_finite() || !number.is_finite()).then_some(rounded)
            }
            fn of_integer(number: i128) -> Option<Self> {
                Self::of_float(number as f64)
            }
            fn of_bytes(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn json(self) -> $json {
                $to(self)
            }
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            fn list(list: Vec<Self>) -> Elements {
                Elements::$name(list)
            }
        }
    )*};
}

fn single(number: f64) -> f32 {
    number as f32
}

integers!(u8 Uint8, i8 Int8, i16 Int16, i32 Int32, i64 Int64);
floats! {
    f16 Fp16 f32 f16::from_f64, f16::to_f32;
    bf16 Bf16 f32 bf16::from_f64, bf16::to_f32;
    f32 Fp32 f32 single, std::convert::identity;
    f64 Fp64 f64 std::convert::identity, std::convert::identity;
}

impl Element for bool {
    const DATATYPE: Datatype = Datatype::Bool;
    type Json = Self;

    fn of_float(_: f64) -> Option<Self> {
        None
    }
    fn of_integer(number: i128) -> Option<Self> {
        [false, true].into_iter().find(|value| i128::from(*value) == number)
    }
    fn of_bool(value: bool) -> Option<Self> {
        Some(value)
    }
    fn of_bytes(bytes: &[u8]) -> Self {
        bytes != [0]
    }
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
    fn json(self) -> Self {
        self
    }
    fn as_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn list(list: Vec<Self>) -> Elements {
        Elements::Bool(list)
    }
}

impl Elements {
    /// Their type.
    pub fn datatype(&self) -> Datatype {
        fn of<E: Element>(_: &[E]) -> Datatype {
            E::DATATYPE
        }
        each!(self, list => of(list))
    }

    /// How many.
    pub fn len(&self) -> usize {
        each!(self, list => list.len())
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.len() * self.datatype().size()
    }

    /// Those from one place to another, as the nearest single numbers.
    pub fn singles(&self, from: usize, to: usize) -> Vec<f32> {
        fn of<E: Element>(list: &[E], from: usize, to: usize) -> Vec<f32> {
            list.get(from..to).unwrap_or_default().iter().map(|number| number.as_f64() as f32).collect()
        }
        each!(self, list => of(list, from, to))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the protocol's bytes: little-endian, without gaps. Bytes beyond the last whole element are ignored.
    pub fn of_bytes(datatype: Datatype, bytes: &[u8]) -> Self {
        of_type!(datatype, E => E::list(bytes.chunks_exact(datatype.size()).map(E::of_bytes).collect()))
    }

    /// Appends the protocol's bytes, and returns how many those are.
    pub fn write(&self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        bytes.reserve(self.len() * self.datatype().size());
        each!(self, list => list.iter().for_each(|element| element.write(bytes)));
        bytes.len() - before
    }

    /// Whether every number is finite.
    pub fn are_finite(&self) -> bool {
        match self {
            Self::Fp16(list) => list.iter().all(|number| number.is_finite()),
            Self::Bf16(list) => list.iter().all(|number| number.is_finite()),
            Self::Fp32(list) => list.iter().all(|number| number.is_finite()),
            Self::Fp64(list) => list.iter().all(|number| number.is_finite()),
            _ => true,
        }
    }

    /// Those from one place to another.
    pub fn part(&self, from: usize, to: usize) -> Self {
        fn copy<E: Element>(list: &[E], from: usize, to: usize) -> Elements {
            E::list(list.get(from..to).unwrap_or_default().to_vec())
        }
        each!(self, list => copy(list, from, to))
    }
}

/// One flat list.
impl Serialize for Elements {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        each!(self, list => to.collect_seq(list.iter().map(|element| element.json())))
    }
}

impl Array {
    /// Zeros of this shape.
    pub fn zeros(datatype: Datatype, shape: Vec<i64>) -> Self {
        let elements = of_type!(datatype, E => E::list(vec![E::default(); count(&shape)]));
        Self { shape, elements }
    }

    /// Its size along the first dimension; 1 for a single number.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |rows| usize::try_from(*rows).unwrap_or_default())
    }

    /// Several tensors of the same datatype, and of the same shape but for the first dimension, as one along that.
    pub fn joined<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> Option<Self> {
        let mut shape = parts.clone().next()?.shape.clone();
        *shape.first_mut()? = i64::try_from(parts.clone().map(Self::rows).sum::<usize>()).ok()?;
        let mut all = parts.clone().next()?.elements.part(0, 0);
        for part in parts {
            match (&mut all, &part.elements) {
                (Elements::Bool(all), Elements::Bool(part)) => all.extend_from_slice(part),
                (Elements::Uint8(all), Elements::Uint8(part)) => all.extend_from_slice(part),
                (Elements::Int8(all), Elements::Int8(part)) => all.extend_from_slice(part),
                (Elements::Int16(all), Elements::Int16(part)) => all.extend_from_slice(part),
                (Elements::Int32(all), Elements::Int32(part)) => all.extend_from_slice(part),
                (Elements::Int64(all), Elements::Int64(part)) => all.extend_from_slice(part),
                (Elements::Fp16(all), Elements::Fp16(part)) => all.extend_from_slice(part),
                (Elements::Bf16(all), Elements::Bf16(part)) => all.extend_from_slice(part),
                (Elements::Fp32(all), Elements::Fp32(part)) => all.extend_from_slice(part),
                (Elements::Fp64(all), Elements::Fp64(part)) => all.extend_from_slice(part),
                _ => return None,
            }
        }
        (all.len() == count(&shape)).then_some(Self { shape, elements: all })
    }

    /// The rows from one place on, this many.
    pub fn of_rows(&self, from: usize, rows: usize) -> Self {
        let each = self.elements.len() / self.rows().max(1);
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows as i64;
        }
        Self { shape, elements: self.elements.part(from * each, (from + rows) * each) }
    }

    /// As a tensor of libtorch.
    ///
    /// # Errors
    /// When libtorch fails, or there are not as many elements as the shape says.
    pub fn to_tensor(&self) -> Result<Tensor, TchError> {
        let flat = match &self.elements {
            // tch takes it for FP16
            Elements::Bf16(list) => {
                let mut bytes = Vec::new();
                self.elements.write(&mut bytes);
                Tensor::f_from_data_size(&bytes, &[list.len() as i64], Kind::BFloat16)
            }
            elements => each!(elements, list => Tensor::f_from_slice(list)),
        }?;
        flat.f_view(self.shape.as_slice())
    }

    /// What a tensor of libtorch holds.
    ///
    /// # Errors
    /// When libtorch fails, or the protocol has no such datatype.
    pub fn of_tensor(tensor: &Tensor) -> Result<Self, TchError> {
        fn read<E: Element>(tensor: &Tensor) -> Result<Elements, TchError> {
            let mut list = vec![E::default(); tensor.numel()];
            tensor.f_copy_data(&mut list, tensor.numel())?;
            Ok(E::list(list))
        }
        let elements = match tensor.f_kind()? {
            Kind::Bool => read::<bool>(tensor),
            Kind::Uint8 => read::<u8>(tensor),
            Kind::Int8 => read::<i8>(tensor),
            Kind::Int16 => read::<i16>(tensor),
            Kind::Int => read::<i32>(tensor),
            Kind::Int64 => read::<i64>(tensor),
            Kind::Half => read::<f16>(tensor),
            Kind::BFloat16 => {
                let mut bytes = vec![0; tensor.numel() * Datatype::Bf16.size()];
                tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
                Ok(Elements::of_bytes(Datatype::Bf16, &bytes))
            }
            Kind::Float => read::<f32>(tensor),
            Kind::Double => read::<f64>(tensor),
            other => Err(TchError::Kind(format!("it returns {other:?}, which the protocol does not have"))),
        }?;
        Ok(Self { shape: tensor.size(), elements })
    }
}

/// The number of elements of a shape; the largest number there is if that is more.
pub fn count(shape: &[i64]) -> usize {
    let product = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(usize::try_from(*size).ok()?));
    product.unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Elements> {
        vec![
            Elements::Bool(vec![true, false]),
            Elements::Uint8(vec![0, 255]),
            Elements::Int8(vec![-128, 127]),
            Elements::Int16(vec![-32768, 5]),
            Elements::Int32(vec![i32::MIN, 7]),
            Elements::Int64(vec![i64::MIN, i64::MAX]),
            Elements::Fp16(vec![f16::from_f32(0.5), f16::MAX]),
            Elements::Bf16(vec![bf16::from_f32(-2.0), bf16::MIN]),
            Elements::Fp32(vec![0.1, f32::MAX]),
            Elements::Fp64(vec![0.1, f64::MIN_POSITIVE]),
        ]
    }

    #[test]
    fn every_datatype_survives_bytes_libtorch_and_batches() {
        let mut seen = Vec::new();
        for elements in samples() {
            let datatype = elements.datatype();
            seen.push(datatype);
            let mut bytes = Vec::new();
            assert_eq!(elements.write(&mut bytes), 2 * datatype.size());
            assert_eq!(Elements::of_bytes(datatype, &bytes), elements);
            let array = Array { shape: vec![2, 1], elements };
            assert_eq!(Array::of_tensor(&array.to_tensor().unwrap()).unwrap(), array);
            let [first, second] = [array.of_rows(0, 1), array.of_rows(1, 1)];
            assert_eq!((first.shape.as_slice(), first.elements.len()), (&[1, 1][..], 1));
            assert_eq!(Array::joined([&first, &second].into_iter()).unwrap(), array);
            assert_eq!(Array::zeros(datatype, vec![3, 0]).elements.len(), 0);
        }
        assert_eq!(seen, Datatype::WORDS.map(|(_, datatype)| datatype));
    }

    #[test]
    fn numbers_that_a_type_does_not_hold_are_told() {
        assert_eq!((u8::of_integer(255), u8::of_integer(256), u8::of_integer(-1)), (Some(255), None, None));
        assert_eq!((i64::of_float(3.0), i64::of_float(3.5), i64::of_float(1e300)), (Some(3), None, None));
        assert_eq!((i64::of_integer(u64::MAX.into()), f32::of_float(1e300)), (None, None));
        assert_eq!(f16::of_integer(65504), Some(f16::MAX));
        assert_eq!((f16::of_integer(70000), bool::of_integer(2), bool::of_integer(1)), (None, None, Some(true)));
        assert_eq!((u8::of_bool(true), bool::of_bool(true), bool::of_float(1.0)), (None, Some(true), None));
    }

    #[test]
    fn complex_numbers_have_no_datatype() {
        let tensor = Tensor::zeros([1], (Kind::ComplexFloat, tch::Device::Cpu));
        assert!(Array::of_tensor(&tensor).unwrap_err().to_string().contains("ComplexFloat"));
    }
}
