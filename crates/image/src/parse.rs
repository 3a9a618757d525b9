//! Reads and checks declarations.

use std::path::{Path, PathBuf};

use slipway_digest::Digest;
use slipway_source::{Finding, Position, closest, position_of, typed};

use crate::declaration::{Base, File, Image, Python};
use crate::error::{Error, Result};
use crate::patterns::Patterns;

/// A declaration and where it was found.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The repository's top folder.
    pub root: PathBuf,
    /// The declaration's folder, relative to that.
    pub folder: PathBuf,
    /// The declaration.
    pub image: Image,
}

impl Declared {
    /// The image's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.image.metadata.name
    }

    /// The lock file, absolute.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.root.join(&self.folder).join("image.lock")
    }

    /// The requirements file, absolute; `None` for an image without Python.
    #[must_use]
    pub fn requirements_path(&self) -> Option<PathBuf> {
        let python = self.image.spec.python.as_ref()?;
        Some(self.root.join(&self.folder).join(&python.requirements))
    }
}

/// The image that a folder declares, wherever the folder is.
///
/// # Errors
/// When its `image.yaml` cannot be read or has mistakes.
pub fn declared_in(folder: &Path) -> Result<Declared> {
    let path = folder.join("image.yaml");
    let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
    let image = parse(&path.display().to_string(), &text).map_err(Error::Declaration)?;
    Ok(Declared { root: folder.to_owned(), folder: PathBuf::new(), image })
}

/// Every declared image of a repository, sorted by name.
///
/// # Errors
/// When a declaration cannot be read or has mistakes; the mistakes of all files are reported together.
pub fn declared(root: &Path) -> Result<Vec<Declared>> {
    let (mut found, mut mistakes): (Vec<Declared>, _) = (Vec::new(), Vec::new());
    for folder in [folders(root, "apps")?, folders(root, PROGRAMS)?].concat() {
        let file = folder.join("image.yaml");
        let path = root.join(&file);
        let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
        match parse(&file.display().to_string(), &text) {
            Ok(image) => match found.iter().find(|other| other.name() == image.metadata.name) {
                Some(other) => {
                    let name = &image.metadata.name;
                    let message = format!("{} is called {name} as well: rename one of them", other.folder.display());
                    let at = position_of_word(&text, name);
                    mistakes.push(Finding::at(&file.display().to_string(), at, "image", message));
                }
                None => found.push(Declared { root: root.to_path_buf(), folder, image }),
            },
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(Error::Declaration(mistakes)) }
}

/// The folder of training programs. Their images hold the launcher, which starts the program in [`PROGRAM`].
const PROGRAMS: &str = "trainers";
const LAUNCHER: &str = "slipway-launch";
const PROGRAM: &str = "/opt/program";

/// The folders with a declaration below a folder of the repository, sorted; none if there is no such folder.
fn folders(root: &Path, below: &str) -> Result<Vec<PathBuf>> {
    let top = root.join(below);
    let entries = match std::fs::read_dir(&top) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file("reading", &top))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = Path::new(below).join(entry.map_err(Error::file("reading", &top))?.file_name());
        if root.join(&folder).join("image.yaml").is_file() {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

/// The images of these names; all images if the list is empty.
///
/// # Errors
/// As [`declared`], and when a name is not declared, or nothing is.
pub fn named(root: &Path, names: &[String]) -> Result<Vec<Declared>> {
    let all = declared(root)?;
    if names.is_empty() {
        return if all.is_empty() { Err(Error::NoImage) } else { Ok(all) };
    }
    names
        .iter()
        .map(|name| {
            all.iter().find(|one| one.name() == name).cloned().ok_or_else(|| {
                let near = closest(name, all.iter().map(Declared::name));
                Error::UnknownImage { name: name.clone(), near: near.map(str::to_owned) }
            })
        })
        .collect()
}

/// Reads one declaration.
///
/// # Errors
/// The first mistake in its form; if its form is right, every mistake in its content.
pub fn parse(file: &str, text: &str) -> std::result::Result<Image, Vec<Finding>> {
    let image: Image = typed(file, text).map_err(|finding| vec![finding])?;
    let mut mistakes: Vec<Finding> = check(file, &image)
        .into_iter()
        .map(|(word, message)| Finding::at(file, position_of_word(text, &word), "image", message))
        .collect();
    if Path::new(file).starts_with(PROGRAMS) {
        let at = position_of(text, "spec.files");
        mistakes.extend(of_program(&image).map(|message| Finding::at(file, at, "image", message)));
    }
    if mistakes.is_empty() { Ok(image) } else { Err(mistakes) }
}

/// Mistakes that the types allow, each with the word of the file that it is about.
fn check(file: &str, image: &Image) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut report = |word: &str, message: String| found.push((word.to_owned(), message));
    let name = &image.metadata.name;
    let folder = Path::new(file).parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    if folder.as_ref().is_some_and(|folder| folder != name) {
        report(name, format!("the name {name:?} is not that of the folder: rename one of them"));
    }
    let spec = &image.spec;
    if !spec.entrypoint.first().is_some_and(|program| program.starts_with('/')) {
        report("entrypoint", "entrypoint must begin with the absolute path of a program; there is no shell".to_owned());
    }
    if spec.user.uid == 0 || spec.user.gid == 0 {
        report("user", "user must not be root: uid and gid from 1 upwards".to_owned());
    }
    if !is_plain(&spec.user.name) {
        report(&spec.user.name, format!("{:?} is not a user's name: letters, digits, - and _", spec.user.name));
    }
    if !spec.workdir.starts_with('/') {
        report(&spec.workdir, format!("workdir {:?} must be an absolute path", spec.workdir));
    }
    match &spec.base {
        Base::Debian(debian) => {
            for package in debian.packages.iter().chain(&debian.without) {
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
                if package.len() < 2 || !package.chars().all(allowed) {
                    report(package, format!("{package:?} is not the name of a Debian package"));
                }
            }
        }
        Base::Oci(reference) => {
            let digest = reference.rsplit_once('@').and_then(|(_, digest)| digest.parse::<Digest>().ok());
            if digest.is_none() {
                report(reference, format!("{reference:?} must name a digest (name@sha256:…): a tag moves"));
            }
        }
    }
    for item in &spec.files {
        if item.binary.is_some() == item.path.is_some() {
            report(&item.to, format!("the file for {} needs either a `binary` or a `path`", item.to));
        }
        if !item.to.starts_with('/') || item.to.split('/').any(|part| part == "..") {
            report(&item.to, format!("{:?} must be an absolute path in the image", item.to));
        }
        let outside = |path: &&str| path.starts_with('/') || path.split('/').any(|part| part == "..");
        if let Some(path) = item.path.as_deref().filter(outside) {
            report(path, format!("{path:?}, which goes to {}, must be inside the repository", item.to));
        }
    }
    let mut patterns: Vec<&String> = spec.files.iter().flat_map(|item| &item.except).collect();
    if let Some(Python { without, .. }) = &spec.python {
        patterns.extend(without.packages.iter().chain(&without.files));
    }
    for text in patterns {
        if let Err(reason) = Patterns::new(std::slice::from_ref(text)) {
            report(text, reason);
        }
    }
    found
}

/// What the image of a training program lacks.
fn of_program(image: &Image) -> impl Iterator<Item = String> {
    let (folder, launcher) = (format!("{PROGRAMS}/{}", image.metadata.name), format!("/usr/bin/{LAUNCHER}"));
    let has = |is: &dyn Fn(&File) -> bool| image.spec.files.iter().any(is);
    let starts = has(&|file| file.binary.as_deref() == Some(LAUNCHER) && file.to == launcher);
    let holds = has(&|file| file.path.as_deref() == Some(folder.as_str()) && file.to == PROGRAM);
    let lines = [
        (starts, format!("{{binary: {LAUNCHER}, to: {launcher}}}")),
        (holds, format!("{{path: {folder}, to: {PROGRAM}}}")),
    ];
    lines.into_iter().filter(|(is_there, _)| !is_there).map(|(_, line)| {
        format!("a program of {PROGRAMS}/ needs `- {line}` in files: the launcher starts what is in {PROGRAM}")
    })
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The position of a word's first appearance; the start if it does not appear.
fn position_of_word(text: &str, word: &str) -> Position {
    let found = text.lines().enumerate().find_map(|(number, line)| {
        let (before, _) = line.split_once(word)?;
        Some(Position { line: number + 1, column: before.chars().count() + 1 })
    });
    found.unwrap_or(Position::START)
}
