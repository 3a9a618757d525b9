//! One function for each field of the experiment file. It reads the field itself and a sweep's values of it.

use slipway_source::{Node, excerpt};

use crate::deadline::DeadlineError;
use crate::program::parameter;
use crate::quantity::QuantityError;
use crate::reader::Reader;
use crate::{Architecture, Bound, Comparison, Deadline, Metric, OptimizerName, Quantity, ScheduleName, Setting};

pub(crate) fn architecture(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Architecture> {
    reader.word(node, path, Architecture::WORDS)
}

pub(crate) fn dropout(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| (0.0..1.0).contains(&value), "a number from 0 to less than 1")
}

pub(crate) fn epochs(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 1..=10_000)
}

pub(crate) fn batch_size(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 1..=1_048_576)
}

pub(crate) fn optimizer_name(reader: &Reader<'_>, node: &Node, path: &str) -> Option<OptimizerName> {
    reader.word(node, path, OptimizerName::WORDS)
}

pub(crate) fn learning_rate(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| value > 0.0 && value <= 10.0, "a number more than 0 and at most 10")
}

pub(crate) fn momentum(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| (0.0..1.0).contains(&value), "a number from 0 to less than 1")
}

pub(crate) fn weight_decay(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| (0.0..=1.0).contains(&value), "a number from 0 to 1")
}

pub(crate) fn schedule_name(reader: &Reader<'_>, node: &Node, path: &str) -> Option<ScheduleName> {
    reader.word(node, path, ScheduleName::WORDS)
}

pub(crate) fn warmup_epochs(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 0..=9_999)
}

pub(crate) fn every(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 1..=10_000)
}

pub(crate) fn factor(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| value > 0.0 && value < 1.0, "a number more than 0 and less than 1")
}

pub(crate) fn shift(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 0..=1_024)
}

pub(crate) fn rotation(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| (0.0..=180.0).contains(&value), "degrees, a number from 0 to 180")
}

pub(crate) fn patience(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 1..=10_000)
}

pub(crate) fn seed(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u64> {
    reader.integer(node, path, 0..=u64::MAX >> 1)
}

pub(crate) fn worker_count(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 1..=1000)
}

pub(crate) fn gpu(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    reader.integer32(node, path, 0..=64)
}

/// One value of a swept field, read as the field itself.
pub(crate) fn setting(reader: &Reader<'_>, field: &str, node: &Node, path: &str) -> Option<Setting> {
    match field {
        "model.architecture" => architecture(reader, node, path).map(Setting::Architecture),
        "model.dropout" => dropout(reader, node, path).map(Setting::Dropout),
        "training.epochs" => epochs(reader, node, path).map(Setting::Epochs),
        "training.batchSize" => batch_size(reader, node, path).map(Setting::BatchSize),
        "training.optimizer.name" => optimizer_name(reader, node, path).map(Setting::OptimizerName),
        "training.optimizer.learningRate" => learning_rate(reader, node, path).map(Setting::LearningRate),
        "training.optimizer.momentum" => momentum(reader, node, path).map(Setting::Momentum),
        "training.optimizer.weightDecay" => weight_decay(reader, node, path).map(Setting::WeightDecay),
        "training.schedule.name" => schedule_name(reader, node, path).map(Setting::ScheduleName),
        "training.schedule.warmupEpochs" => warmup_epochs(reader, node, path).map(Setting::WarmupEpochs),
        "training.schedule.every" => every(reader, node, path).map(Setting::Every),
        "training.schedule.factor" => factor(reader, node, path).map(Setting::Factor),
        "training.augmentation.shift" => shift(reader, node, path).map(Setting::Shift),
        "training.augmentation.rotation" => rotation(reader, node, path).map(Setting::Rotation),
        "training.earlyStopping.patience" => patience(reader, node, path).map(Setting::Patience),
        "training.seed" => seed(reader, node, path).map(Setting::Seed),
        "workers.count" => worker_count(reader, node, path).map(Setting::Workers),
        _ => {
            let name = field.strip_prefix(Setting::PARAMETERS)?.to_owned();
            parameter(reader, node, path).map(|value| Setting::Parameter { name, value })
        }
    }
}

/// CPU of a worker: whole cores or thousandths.
pub(crate) fn cpu(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Quantity> {
    const ALLOWED: &str = "cores (\"1\", 0.5) or thousandths of one (500m), from 1m to 1024";
    let text = reader.scalar(node, path, "an amount of CPU", ALLOWED)?;
    match text.parse::<Quantity>() {
        Ok(cpu)
            if text.ends_with(|c: char| c.is_ascii_digit() || c == 'm') && (1..=1_024_000).contains(&cpu.millis()) =>
        {
            Some(cpu)
        }
        Ok(_) if !text.ends_with(|c: char| c.is_ascii_digit() || c == 'm') => {
            reader.add(
                node.at,
                "wrong-unit",
                format!("{path} is `{}`, which is not an amount of CPU", excerpt(text)),
                format!("allowed: {ALLOWED}"),
            );
            None
        }
        Ok(_) => {
            reader.add(
                node.at,
                "out-of-range",
                format!("{path} is `{}`", excerpt(text)),
                format!("allowed: {ALLOWED}"),
            );
            None
        }
        Err(error) => quantity_error(reader, node, path, text, &error, ALLOWED),
    }
}

/// Memory of a worker: a number with a unit of bytes.
pub(crate) fn memory(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Quantity> {
    const ALLOWED: &str = "a number with Ki, Mi, Gi, Ti (or k, M, G, T), such as 512Mi or 2Gi, from 16Mi to 64Ti";
    const RANGE: std::ops::RangeInclusive<u64> = 16 << 20..=64 << 40;
    let text = reader.scalar(node, path, "an amount of memory", ALLOWED)?;
    match text.parse::<Quantity>() {
        Ok(_) if text.ends_with(|c: char| c.is_ascii_digit()) => {
            let message = format!("{path} is `{}`, which has no unit", excerpt(text));
            reader.add(
                node.at,
                "wrong-unit",
                message,
                format!("did you mean `{}Gi`? allowed: {ALLOWED}", excerpt(text)),
            );
            None
        }
        Ok(_) if text.ends_with('m') => {
            let message = format!("{path} is `{}`, which is thousandths of a byte", excerpt(text));
            reader.add(
                node.at,
                "wrong-unit",
                message,
                format!("did you mean `{}Mi`? allowed: {ALLOWED}", excerpt(text.trim_end_matches('m'))),
            );
            None
        }
        Ok(memory) if RANGE.contains(&memory.ceil()) => Some(memory),
        Ok(_) => {
            reader.add(
                node.at,
                "out-of-range",
                format!("{path} is `{}`", excerpt(text)),
                format!("allowed: {ALLOWED}"),
            );
            None
        }
        Err(error) => quantity_error(reader, node, path, text, &error, ALLOWED),
    }
}

fn quantity_error<T>(
    reader: &Reader<'_>,
    node: &Node,
    path: &str,
    text: &str,
    error: &QuantityError,
    allowed: &str,
) -> Option<T> {
    let (code, guess) = match error {
        QuantityError::Number => ("wrong-type", None),
        QuantityError::Range => ("out-of-range", None),
        QuantityError::Unit(unit) => {
            // Most people who write `gb`, `GB` or `g` mean Gi.
            let letter = unit.trim().chars().next().map(|c| c.to_ascii_uppercase());
            let meant = letter.filter(|letter| "KMGT".contains(*letter) && allowed.contains("Gi"));
            ("wrong-unit", meant.map(|letter| format!("{}{letter}i", text.trim_end_matches(unit.as_str()))))
        }
    };
    let help = guess.map_or_else(
        || format!("allowed: {allowed}"),
        |guess| format!("did you mean `{}`? allowed: {allowed}", excerpt(&guess)),
    );
    reader.add(node.at, code, format!("{path} is `{}`: {}", excerpt(text), excerpt(&error.to_string())), help);
    None
}

pub(crate) fn cpu_hours(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| value > 0.0 && value <= 1e9, "CPU-hours, a number more than 0")
}

pub(crate) fn gpu_hours(reader: &Reader<'_>, node: &Node, path: &str) -> Option<f64> {
    reader.number(node, path, |value| value > 0.0 && value <= 1e9, "GPU-hours, a number more than 0")
}

pub(crate) fn deadline(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Deadline> {
    const ALLOWED: &str = "hours, minutes and seconds, such as 30m, 1h30m or 90s, up to 720h";
    let text = reader.scalar(node, path, "a duration", ALLOWED)?;
    let error = match text.parse() {
        Ok(deadline) => return Some(deadline),
        Err(error) => error,
    };
    let (code, help) = match &error {
        DeadlineError::NoUnit(text) => ("wrong-unit", format!("did you mean `{}m`? allowed: {ALLOWED}", excerpt(text))),
        DeadlineError::Syntax(_) => ("wrong-unit", format!("allowed: {ALLOWED}")),
        DeadlineError::Range(_) => ("out-of-range", format!("allowed: {ALLOWED}")),
    };
    reader.add(node.at, code, format!("{path}: {}", excerpt(&error.to_string())), help);
    None
}

/// The bound of a metric that a program logs: any number.
pub(crate) fn bound(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Bound> {
    read_bound(reader, node, path, "one of >=, <=, >, < and a decimal number, quoted, such as \">= 0.97\"")
}

fn read_bound(reader: &Reader<'_>, node: &Node, path: &str, allowed: &str) -> Option<Bound> {
    let text = reader.scalar(node, path, "a bound", allowed)?;
    let bound = text.parse::<Bound>().ok();
    if bound.is_none() {
        let help = match text.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("did you mean \">= {}\"? allowed: {allowed}", excerpt(text)),
            _ => format!("allowed: {allowed}"),
        };
        reader.add(node.at, "gate-syntax", format!("{path} is `{}`, which is not a bound", excerpt(text)), help);
    }
    bound
}

/// The bound of a metric of the built-in trainer. Each is a share, so a bound outside 0 to 1 is a mistake.
pub(crate) fn bound_of_share(reader: &Reader<'_>, node: &Node, metric: &Metric, path: &str) -> Option<Bound> {
    const ALLOWED: &str = "one of >=, <=, >, < and a number from 0 to 1, quoted, such as \">= 0.97\"";
    let bound = read_bound(reader, node, path, ALLOWED)?;
    let text = node.text().unwrap_or_default();
    let is_reachable = match bound.comparison {
        Comparison::Above => bound.value < 1.0,
        Comparison::Below => bound.value > 0.0,
        Comparison::AtLeast | Comparison::AtMost => true,
    };
    if (0.0..=1.0).contains(&bound.value) {
        if !is_reachable {
            let help = format!("{metric} is a share from 0 to 1, so no model would ever be registered");
            reader.add(node.at, "out-of-range", format!("{path} asks for `{}`", excerpt(text)), help);
        }
        return is_reachable.then_some(bound);
    }
    let help = if bound.value > 1.0 && bound.value <= 100.0 {
        format!("{metric} is a share from 0 to 1: did you mean \"{} {}\"?", bound.comparison, bound.value / 100.0)
    } else {
        format!("{metric} is a share from 0 to 1")
    };
    reader.add(node.at, "out-of-range", format!("{path} asks for `{}`", excerpt(text)), help);
    None
}
