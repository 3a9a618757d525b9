//! Folders of image files, one folder for each label.

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, ImageReader};
use slipway_dataset::archive::{Entry, pack};
use slipway_dataset::{Format, ImageFolders, LocalDataset, Splits};
use slipway_experiment::Files;
use slipway_source::suggestion;

use crate::classes::Classes;
use crate::fetch::Located;
use crate::make::Work;
use crate::{Error, Result, open, splits};

/// Image files of one split or of all, sorted by label and name.
struct Part {
    entries: Vec<Entry>,
    /// Where they are declared.
    field: String,
}

pub(crate) fn read(work: Work<'_>, files: &Files<Vec<Located>>) -> Result<LocalDataset> {
    let parts = find(&work, files)?;
    let every: Vec<&Entry> = parts_of(&parts).into_iter().flat_map(|part| &part.entries).collect();
    let labels = match &work.spec().labels {
        Some(labels) => labels.clone(),
        None => {
            let mut labels: Vec<String> = every.iter().map(|entry| entry.label.clone()).collect();
            labels.sort();
            labels.dedup();
            labels
        }
    };
    let mut spec = work.spec().clone();
    spec.classes = u32::try_from(labels.len()).ok();
    spec.labels = Some(labels.clone());
    let classes = Classes::of(&spec, 0, "spec.labels")
        .ok_or_else(|| Error::problem("spec.labels", "out-of-range", "there are too many labels", "declare fewer"))?;
    let numbers = |part: &Part| -> Result<Vec<u32>> {
        let number = |entry: &Entry| {
            classes.named(&entry.label).ok_or_else(|| {
                let names: Vec<&str> = labels.iter().map(String::as_str).collect();
                let message = format!(
                    "the folder {} is not a declared label",
                    entry.path.parent().unwrap_or(Path::new("")).display()
                );
                Error::problem("spec.labels", "unknown-label", message, suggestion(&entry.label, "declared", &names))
            })
        };
        part.entries.iter().map(number).collect()
    };
    let (chosen, all) = match &parts {
        Files::Whole(part) => {
            let numbers = numbers(part)?;
            (splits::all(&numbers, spec.split)?.map(|indices| select(part, &numbers, indices)), numbers)
        }
        Files::Parts { train, validation, test } => {
            let (of_train, of_test) = (numbers(train)?, numbers(test)?);
            let mut all = [of_train.as_slice(), &of_test].concat();
            let whole = |part: &Part, numbers: Vec<u32>| (part.entries.clone(), numbers);
            let parts = match validation {
                Some(validation) => {
                    if spec.split.is_some() {
                        let message = "the source has a part to validate with already";
                        return Err(Error::problem("spec.split", "wrong-value", message, "leave `split` out"));
                    }
                    let of_validation = numbers(validation)?;
                    all.extend(&of_validation);
                    [whole(train, of_train), whole(validation, of_validation), whole(test, of_test)]
                }
                None => {
                    let (stays, taken) = splits::cut(&of_train, spec.split)?;
                    [select(train, &of_train, &stays), select(train, &of_train, &taken), whole(test, of_test)]
                }
            };
            let [train, validation, test] = parts;
            (Splits { train, validation, test }, all)
        }
    };
    classes.complete(&all, &chosen.train.1)?;
    let shape = check(&every, work.spec().shape.as_deref(), &parts_of(&parts)[0].field)?;
    let output = work.output.path().to_owned();
    let write = |name: &str, entries: &[Entry]| -> Result<(PathBuf, usize)> {
        let path = output.join(name);
        File::create(&path)
            .and_then(|file| pack(entries, file))
            .map_err(|error| Error::file("write", &path, &error))?;
        Ok((path, entries.len()))
    };
    let files = Splits {
        train: write("train", &chosen.train.0)?,
        validation: write("validation", &chosen.validation.0)?,
        test: write("test", &chosen.test.0)?,
    };
    let name = &work.declaration.name;
    let made = LocalDataset::of_files(name, work.output, &files, |splits| {
        Format::Images(ImageFolders { shape, labels, splits })
    });
    Ok(made?)
}

fn parts_of(parts: &Files<Part>) -> Vec<&Part> {
    match parts {
        Files::Whole(part) => vec![part],
        Files::Parts { train, validation, test } => {
            [Some(train), validation.as_ref(), Some(test)].into_iter().flatten().collect()
        }
    }
}

/// Some of the files, in the order of an archive.
fn select(part: &Part, numbers: &[u32], indices: &[usize]) -> (Vec<Entry>, Vec<u32>) {
    let mut indices = indices.to_vec();
    indices.sort_unstable();
    indices.into_iter().map(|index| (part.entries[index].clone(), numbers[index])).unzip()
}

/// The image files of each split. A source without declared splits may have folders for them.
fn find(work: &Work<'_>, files: &Files<Vec<Located>>) -> Result<Files<Part>> {
    let folders = |files: &[Located]| -> Result<Vec<(PathBuf, String)>> {
        files.iter().map(|file| Ok((open::folder(&work.unpacking, file)?, file.field.clone()))).collect()
    };
    match files {
        Files::Parts { train, validation, test } => {
            let part = |files: &Vec<Located>| part(&folders(files)?);
            let validation = validation.as_ref().map(part).transpose()?;
            Ok(Files::Parts { train: part(train)?, validation, test: part(test)? })
        }
        Files::Whole(files) => {
            let folders = folders(files)?;
            if let [(root, field)] = folders.as_slice() {
                let names = names(root)?;
                let validation = names.iter().find(|name| matches!(name.as_str(), "validation" | "valid" | "val"));
                let expected = 2 + usize::from(validation.is_some());
                if names.len() == expected && ["train", "test"].iter().all(|part| names.iter().any(|name| name == part))
                {
                    let part = |name: &str| part(&[(root.join(name), field.clone())]);
                    let validation = validation.map(|name| part(name)).transpose()?;
                    return Ok(Files::Parts { train: part("train")?, validation, test: part("test")? });
                }
            }
            Ok(Files::Whole(part(&folders)?))
        }
    }
}

/// The names in a folder that mean something, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = |error| Error::file("read", folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.into_string().map_err(|name| {
            let message = format!("{} has a file whose name is not UTF-8: {name:?}", folder.display());
            Error::problem("spec.source.images", "invalid-name", message, "rename it")
        })?;
        // what desktops leave behind
        if !name.starts_with('.') && !matches!(name.as_str(), "__MACOSX" | "Thumbs.db" | "desktop.ini") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The image files of folders that hold `<label>/<file>`.
fn part(folders: &[(PathBuf, String)]) -> Result<Part> {
    let mut entries = Vec::new();
    let field = folders.first().map(|(_, field)| field.clone()).unwrap_or_default();
    for (folder, field) in folders {
        for label in names(folder)? {
            let within = folder.join(&label);
            if !within.is_dir() {
                let message = format!("{} is not a folder of a label", within.display());
                let help = "images are in folders that are named by their labels: cat/1.png; `inside:` names a folder further in";
                return Err(Error::problem(field, "wrong-layout", message, help));
            }
            for name in names(&within)? {
                let path = within.join(&name);
                if path.is_dir() {
                    let message = format!("{} is a folder within the folder of a label", path.display());
                    let help = format!(
                        "put the images into {} itself; if `{label}` is not a label, name it in `inside:`",
                        within.display()
                    );
                    return Err(Error::problem(field, "wrong-layout", message, help));
                }
                entries.push(Entry { label: label.clone(), name, path });
            }
        }
    }
    entries.sort();
    if let Some(pair) =
        entries.windows(2).find(|pair| (&pair[0].label, &pair[0].name) == (&pair[1].label, &pair[1].name))
    {
        let message = format!("{} and {} have the same label and name", pair[0].path.display(), pair[1].path.display());
        return Err(Error::problem(&field, "duplicate-name", message, "rename one of them"));
    }
    Ok(Part { entries, field })
}

/// Decodes every image, and compares it with the declared shape. Gives height, width and channels if all images have the same.
fn check(entries: &[&Entry], declared: Option<&[u32]>, field: &str) -> Result<Option<[usize; 3]>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let each = entries.len().div_ceil(threads).max(1);
    let shapes: Vec<Result<[usize; 3]>> = std::thread::scope(|scope| {
        let workers: Vec<_> = entries
            .chunks(each)
            .map(|chunk| scope.spawn(move || chunk.iter().map(|entry| shape(entry, field)).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let shapes: Vec<[usize; 3]> = shapes.into_iter().collect::<Result<_>>()?;
    let Some([height, width, _]) = shapes.first().copied() else { return Ok(None) };
    if let Some(declared) = declared {
        let declared: Vec<usize> = declared.iter().map(|&size| size as usize).collect();
        if let Some(wrong) = shapes.iter().position(|shape| shape[..declared.len()] != declared) {
            let shape = &shapes[wrong][..declared.len()];
            let path = entries[wrong].path.display();
            let mixed = shapes.iter().any(|other| other[..declared.len()] != *shape);
            let (code, help) = if mixed {
                (
                    "mixed-sizes",
                    "resize the images to one size, or leave `shape` out: the program then resizes them itself"
                        .to_owned(),
                )
            } else {
                ("wrong-shape", format!("if that is right, declare {shape:?}"))
            };
            return Err(Error::problem(
                "spec.shape",
                code,
                format!("{path} has the shape {shape:?}, but {declared:?} is declared"),
                help,
            ));
        }
    }
    let same = shapes.iter().all(|shape| shape[..2] == [height, width]);
    let channels = shapes.iter().map(|shape| shape[2]).max().unwrap_or(1);
    Ok(same.then_some([height, width, channels]))
}

/// Height, width and channels of a complete image.
fn shape(entry: &Entry, field: &str) -> Result<[usize; 3]> {
    let path = &entry.path;
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(|error| Error::file("read", path, &error))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        let message = format!("{} is neither a PNG nor a JPEG file", path.display());
        return Err(Error::problem(field, "wrong-file", message, "convert it, or take it out of the folder"));
    }
    let decoded: DynamicImage = reader.decode().map_err(|error| {
        let message = format!("{} cannot be read: {error}", path.display());
        Error::problem(
            field,
            "truncated",
            message,
            "get it again, convert it to PNG or JPEG, or take it out of the folder",
        )
    })?;
    let channels = if decoded.color().has_color() { 3 } else { 1 };
    Ok([decoded.height() as usize, decoded.width() as usize, channels])
}
