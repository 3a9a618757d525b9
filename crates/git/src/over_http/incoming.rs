//! A pack on its way into a repository: apart from everything else until it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorClass, Indexer, ObjectType, OdbLookupFlags, Oid};
use tempfile::TempDir;

use super::pack_index::PackIndex;
use crate::{Error, Repository};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A folder of this name is what `git gc` removes too, if a crash leaves one.
const INCOMING: &str = "tmp_objdir-slipway-";
/// What is older was left by a crash.
const LEFT: Duration = Duration::from_secs(60 * 60);
/// A pack begins with its mark, its version, and how many objects it has.
const HEAD: usize = 12;
/// No object takes less in a pack: its kind and size, and nothing, compressed.
const SMALLEST: u64 = 9;
/// After so many objects what libgit2 keeps of them in memory is dropped.
const AT_ONCE: usize = 10_000;

/// Why a pack does not become a part of a repository.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is not a pack, or not the one that was asked for.
    Wrong(String),
    /// It refers to objects that are neither in it nor here.
    Incomplete,
    /// This machine could not write it.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A pack that is being written. Dropped, it leaves nothing.
pub(crate) struct Incoming<'a> {
    repository: &'a Repository,
    folder: TempDir,
    indexer: Indexer<'static>,
    head: Vec<u8>,
    most: u64,
}

impl<'a> Incoming<'a> {
    /// A pack of at most so many bytes.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub(crate) fn new(repository: &'a Repository, most: u64) -> Result<Self> {
        let folder = quarantine(&repository.objects_folder())?;
        // without a store of objects: a pack that needs objects of others is not asked for
        let indexer = Indexer::new(None, &folder.path().join("pack"), 0o444, false);
        let indexer = indexer.map_err(repository.failed("writing"))?;
        Ok(Self { repository, folder, indexer, head: Vec::with_capacity(HEAD), most })
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`Refusal::Wrong`], [`Refusal::Failed`].
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let missing = HEAD - self.head.len();
        if missing > 0 {
            self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
            if self.head.len() == HEAD {
                self.check_head()?;
            }
        }
        if bytes.is_empty() || self.has_no_objects() {
            return Ok(());
        }
        self.indexer.write_all(bytes).map_err(|error| self.refusal_of_write(error))
    }

    /// Whether it is a pack without objects, which libgit2 takes for one that broke off.
    fn has_no_objects(&self) -> bool {
        self.head.len() == HEAD && self.head.ends_with(&[0; 4])
    }

    /// Refuses what claims to hold more objects than fit into it, before memory is set aside for them.
    fn check_head(&self) -> Result<(), Refusal> {
        let (mark, count) = self.head.split_at(HEAD - 4);
        let count = count.iter().fold(0, |count, byte| count << 8 | u64::from(*byte));
        if mark != b"PACK\0\0\0\x02" {
            return Err(Refusal::Wrong("what it sends is not a pack".to_owned()));
        }
        let too_many = count.saturating_mul(SMALLEST) > self.most;
        if too_many { Err(Refusal::Wrong(format!("its pack cannot hold {count} objects"))) } else { Ok(()) }
    }

    fn refusal_of_write(&self, error: io::Error) -> Refusal {
        match error.downcast::<git2::Error>() {
            Ok(error) => refusal(self.repository, error),
            Err(error) => Error::io("writing what is fetched")(error).into(),
        }
    }

    /// Makes the pack a part of the repository, once it is whole, everything that it refers to is there, and what was wanted too.
    ///
    /// # Errors
    /// Every [`Refusal`].
    pub(crate) fn enter(self, wanted: &[Oid]) -> Result<(), Refusal> {
        if self.head.len() < HEAD {
            return Err(Refusal::Wrong("it sends no pack".to_owned()));
        }
        let has_no_objects = self.has_no_objects();
        let Self { repository, folder, indexer, .. } = self;
        if has_no_objects {
            return if is_complete(repository, None, wanted)? { Ok(()) } else { Err(Refusal::Incomplete) };
        }
        let name = indexer.commit().map_err(|error| refusal(repository, error))?;
        let name = format!("pack-{name}");
        if !is_complete(repository, Some((folder.path(), &name)), wanted)? {
            return Err(Refusal::Incomplete);
        }
        Ok(move_in(&folder.path().join("pack"), &name, &repository.objects_folder())?)
    }
}

/// What libgit2 says of the disk is of this machine; everything else is about the pack.
fn refusal(repository: &Repository, error: git2::Error) -> Refusal {
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::NoMemory => repository.failed("writing")(error).into(),
        _ => Refusal::Wrong(format!("its pack is damaged ({})", error.message())),
    }
}

/// Whether everything that the objects of a new pack refer to is there, in it or in the repository, and what was wanted too. `new` is the
/// folder of objects with that pack, and its name.
fn is_complete(repository: &Repository, new: Option<(&Path, &str)>, wanted: &[Oid]) -> Result<bool> {
    let failed = || repository.failed("reading");
    let open = || -> Result<git2::Repository> {
        let handle = repository.handle()?;
        if let Some((folder, _)) = new {
            let folder = folder.to_str().ok_or_else(|| Error::Path(folder.display().to_string()))?;
            handle.odb().and_then(|objects| objects.add_disk_alternate(folder)).map_err(failed())?;
        }
        Ok(handle)
    };
    let index = new.map(|(folder, name)| read_index(&folder.join("pack").join(format!("{name}.idx")))).transpose()?;
    let count = index.as_ref().map_or(0, |index| index.ids().len());
    for first in (0..count).step_by(AT_ONCE) {
        let handle = open()?;
        let objects = handle.odb().map_err(failed())?;
        let is_there = |id: Oid| {
            let is_new = index.as_ref().is_some_and(|index| index.holds(id));
            is_new || objects.exists_ext(id, OdbLookupFlags::NO_REFRESH)
        };
        for id in index.iter().flat_map(|index| index.ids().skip(first).take(AT_ONCE)) {
            let (_, kind) = objects.read_header(id).map_err(failed())?;
            if !refers_to(&handle, id, kind).map_err(failed())?.into_iter().all(is_there) {
                return Ok(false);
            }
        }
    }
    let objects = open()?;
    let objects = objects.odb().map_err(failed())?;
    Ok(wanted.iter().all(|id| objects.exists(*id)))
}

/// The objects that an object refers to. The commit of a submodule is in another repository.
fn refers_to(repository: &git2::Repository, id: Oid, kind: ObjectType) -> Result<Vec<Oid>, git2::Error> {
    Ok(match kind {
        ObjectType::Commit => {
            let commit = repository.find_commit(id)?;
            commit.parent_ids().chain([commit.tree_id()]).collect()
        }
        ObjectType::Tree => {
            let tree = repository.find_tree(id)?;
            let inside = tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit));
            inside.map(|entry| entry.id()).collect()
        }
        ObjectType::Tag => vec![repository.find_tag(id)?.target_id()],
        _ => Vec::new(),
    })
}

/// The index of a pack.
pub(crate) fn read_index(path: &Path) -> Result<PackIndex> {
    let bytes = fs::read(path).map_err(Error::io("reading the index of a pack"))?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, path.display().to_string());
    PackIndex::parse(bytes).ok_or_else(|| Error::io("reading the index of a pack")(damaged()))
}

/// Moves a pack and its index to the others. The index comes last: without it nobody looks for the pack.
pub(crate) fn move_in(from: &Path, name: &str, objects: &Path) -> Result<()> {
    let packs = objects.join("pack");
    let put = || -> io::Result<()> {
        fs::create_dir_all(&packs)?;
        for ending in ["pack", "idx"] {
            let file = format!("{name}.{ending}");
            // a machine that loses its power keeps all of it, or nothing
            File::open(from.join(&file))?.sync_all()?;
            fs::rename(from.join(&file), packs.join(&file))?;
        }
        File::open(&packs)?.sync_all()
    };
    put().map_err(Error::io("keeping what was fetched"))
}

/// A folder for a new pack, as a store of objects has it. It goes with the value.
pub(crate) fn quarantine(objects: &Path) -> Result<TempDir> {
    sweep(objects);
    let made = tempfile::Builder::new().prefix(INCOMING).tempdir_in(objects);
    let made = made.and_then(|folder| fs::create_dir(folder.path().join("pack")).map(|()| folder));
    made.map_err(Error::io("making a folder for what is fetched"))
}

/// Removes what fetches left that were killed.
fn sweep(objects: &Path) {
    for entry in fs::read_dir(objects).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(INCOMING);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_ours && age().is_some_and(|age| age > LEFT) {
            // another one may be removing it
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Repository {
    /// The folder of its objects.
    pub(crate) fn objects_folder(&self) -> PathBuf {
        self.git_folder().join("objects")
    }
}
