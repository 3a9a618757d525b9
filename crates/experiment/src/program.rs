//! Reads `spec.program` and `spec.parameters`.

use std::collections::BTreeMap;

use slipway_digest::Digest;
use slipway_source::{Entry, Node, Position, Scalar, Value, excerpt, suggest};

use crate::reader::{Fields, Reader};
use crate::template::{Part, TemplateError, parts};
use crate::{Code, Parameter, Program};

/// What the work of an experiment is, as far as its file says.
pub(crate) enum Kind<'n> {
    /// The built-in trainer.
    BuiltIn,
    /// A program, with its parameters; `None` if one of them could not be read.
    Program(Option<&'n BTreeMap<String, Parameter>>),
}

/// Reads `spec.program` with parameters that were read before; `None` in place of them if they are wrong.
pub(crate) fn program(
    reader: &Reader<'_>,
    node: &Node,
    parameters: Option<&BTreeMap<String, Parameter>>,
) -> Option<Program> {
    let map = reader.map(node, "spec.program", &["trainer", "image", "command", "args"])?;
    let code = code(reader, node.at, &map);
    let command = reader.required(&map, "command").and_then(|node| command(reader, node, parameters));
    let args = match map.optional("args") {
        Some(node) => texts(reader, node, "spec.program.args", parameters),
        None => Some(Vec::new()),
    };
    Some(Program { code: code?, command: command?, args: args?, parameters: parameters?.clone() })
}

fn code(reader: &Reader<'_>, at: Position, map: &Fields<'_>) -> Option<Code> {
    const HELP: &str = "`trainer` names a folder of trainers/; `image` is one that was built elsewhere, name@sha256:…";
    match (map.optional("trainer"), map.optional("image")) {
        (Some(node), None) => Some(Code::Trainer(reader.label(node, "spec.program.trainer")?.to_owned())),
        (None, Some(node)) => image(reader, node),
        (Some(_), Some(image)) => {
            reader.add(
                image.at,
                "program-code",
                "spec.program has a trainer and an image",
                format!("keep one: {HELP}"),
            );
            None
        }
        (None, None) => {
            let message = "spec.program says neither `trainer` nor `image`";
            reader.add(at, "program-code", message, format!("add one: {HELP}"));
            None
        }
    }
}

fn image(reader: &Reader<'_>, node: &Node) -> Option<Code> {
    let text = reader.text(node, "spec.program.image")?;
    let is_pinned = text.split_once('@').is_some_and(|(name, digest)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic()) && digest.parse::<Digest>().is_ok()
    });
    if !is_pinned {
        let message = format!("spec.program.image `{}` is not named by its digest", excerpt(text));
        let help = "write name@sha256:… with 64 hexadecimal digits: a tag may be another image tomorrow";
        reader.add(node.at, "image-without-digest", message, help);
        return None;
    }
    Some(Code::Image(text.to_owned()))
}

fn command(reader: &Reader<'_>, node: &Node, parameters: Option<&BTreeMap<String, Parameter>>) -> Option<Vec<String>> {
    const HELP: &str = "name the program to start, such as [python, train.py]";
    let command = texts(reader, node, "spec.program.command", parameters)?;
    match command.first().map(String::as_str) {
        Some("") => reader.add(node.at, "command-empty", "spec.program.command starts with an empty text", HELP),
        Some(_) => return Some(command),
        None => reader.add(node.at, "command-empty", "spec.program.command is empty", HELP),
    }
    None
}

fn texts(
    reader: &Reader<'_>,
    node: &Node,
    path: &str,
    parameters: Option<&BTreeMap<String, Parameter>>,
) -> Option<Vec<String>> {
    let nodes = reader.list(node, path, &format!("a list of texts, such as [{}]", example(path)))?;
    let mut texts = Vec::with_capacity(nodes.len());
    let mut whole = true;
    for node in nodes {
        let text = reader.text(node, path).filter(|text| references(reader, node, path, text, parameters));
        whole &= text.is_some();
        texts.extend(text.map(str::to_owned));
    }
    whole.then_some(texts)
}

fn example(path: &str) -> &'static str {
    if path.ends_with("command") { "python, train.py" } else { "--epochs, \"3\"" }
}

/// Whether every `${name}` in a text is a parameter, and the text can be an argument; adds a finding if not.
fn references(
    reader: &Reader<'_>,
    node: &Node,
    path: &str,
    text: &str,
    parameters: Option<&BTreeMap<String, Parameter>>,
) -> bool {
    const LITERAL: &str = "write $${ for a literal ${";
    if text.contains('\0') {
        reader.add(
            node.at,
            "wrong-value",
            format!("{path} holds a NUL character"),
            "no argument can hold it: remove it",
        );
        return false;
    }
    let found = match parts(text) {
        Err(TemplateError::Open) => {
            let message = format!("{path}: `{}` has a `${{` that is not closed", excerpt(text));
            reader.add(node.at, "reference-syntax", message, format!("close it: ${{name}}; or {LITERAL}"));
            return false;
        }
        Err(TemplateError::Name(name)) => {
            let message = format!("{path}: `${{{}}}` is not a reference to a parameter", excerpt(name));
            let help = format!("a name has {}; {LITERAL}", Parameter::NAME_RULE);
            reader.add(node.at, "reference-syntax", message, help);
            return false;
        }
        Ok(parts) => parts,
    };
    let Some(parameters) = parameters else { return true };
    let mut whole = true;
    for part in found {
        let Part::Name(name) = part else { continue };
        if !parameters.contains_key(name) {
            let known: Vec<&str> = parameters.keys().map(String::as_str).collect();
            let message = format!("{path} names ${{{}}}, and there is no such parameter", excerpt(name));
            reader.add(node.at, "unknown-parameter", message, unknown_parameter(name, &known));
            whole = false;
        }
    }
    whole
}

/// Help for the name of a parameter that does not exist.
pub(crate) fn unknown_parameter(name: &str, known: &[&str]) -> String {
    let declare = format!("add `{}: …` to spec.parameters", excerpt(name));
    if known.is_empty() {
        return declare;
    }
    let meant = slipway_source::closest(name, known.iter().copied());
    format!("{}; or {declare}", suggest(meant, "known", known))
}

/// Reads `spec.parameters`.
pub(crate) fn parameters(reader: &Reader<'_>, node: &Node) -> Option<BTreeMap<String, Parameter>> {
    const HELP: &str = "give names with numbers, texts or truth values, such as {learningRate: 0.001}";
    let entries = reader.entries(node, "spec.parameters", HELP)?;
    let mut parameters = BTreeMap::new();
    let mut whole = true;
    for Entry { key, key_at, value } in entries {
        if !Parameter::is_name(key) {
            let message = format!("`{}` cannot be the name of a parameter", excerpt(key));
            reader.add(*key_at, "invalid-name", message, format!("allowed: {}", Parameter::NAME_RULE));
            whole = false;
            continue;
        }
        match parameter(reader, value, &format!("spec.parameters.{key}")) {
            Some(value) => drop(parameters.insert(key.clone(), value)),
            None => whole = false,
        }
    }
    whole.then_some(parameters)
}

/// Reads the value of a parameter.
pub(crate) fn parameter(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Parameter> {
    const ALLOWED: &str = "a number, a text, true or false";
    let Value::Scalar { text, meaning, .. } = &node.value else {
        let help = "join a list to a text, and give each field of a map a parameter of its own";
        return reader.wrong_type(node, path, ALLOWED, help);
    };
    let out_of_range = |message: String, help: &str| {
        reader.add(node.at, "out-of-range", message, help);
        None
    };
    match meaning {
        Scalar::Null => reader.wrong_type(node, path, ALLOWED, "give a value, or remove the parameter"),
        Scalar::Bool(value) => Some(Parameter::Boolean(*value)),
        Scalar::Integer(number) if number.is_f64() => out_of_range(
            format!("{path} is {}", excerpt(text)),
            "a whole number has at most 64 bits: quote it as a text",
        ),
        // `+ 0.0` makes -0.0 the same text as 0.0.
        Scalar::Float(number) => {
            number.as_f64().and_then(|number| serde_json::Number::from_f64(number + 0.0)).map(Parameter::Number)
        }
        Scalar::Integer(number) => Some(Parameter::Number(number.clone())),
        Scalar::NotFinite => {
            out_of_range(format!("{path} is {}", excerpt(text)), "JSON has no such number: quote it as a text")
        }
        Scalar::Text if text.contains('\0') => {
            out_of_range(format!("{path} holds a NUL character"), "no argument can hold it: remove it")
        }
        Scalar::Text if text.len() > Parameter::MAX_TEXT => out_of_range(
            format!("{path} has {} bytes", text.len()),
            "at most 6000 bytes, as MLflow keeps: put a long text into a file of the trainer",
        ),
        Scalar::Text => Some(Parameter::Text(text.clone())),
    }
}
