//! What a build would read, without reading it.

use slipway_dataset::Store;
use slipway_experiment::Dataset;

use crate::Result;
use crate::build::Places;
use crate::files::Spool;
use crate::index::{self, Earlier, IndexWriter};
use crate::unit::{self, UnitKind};

/// What a build would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What there is, by kind.
    pub sources: Vec<PlannedSource>,
    /// The digest that its head has now.
    pub head: Option<slipway_dataset::Digest>,
}

/// Units of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSource {
    /// `pairs of IDX files`, `archives`, `files`, `objects`, `packages`, `tables`.
    pub kind: &'static str,
    /// How many there are.
    pub units: u64,
    /// How many would be read; the others were read by an earlier build.
    pub new: u64,
}

/// Compares the sources with what earlier builds have read. Nothing is read, stored or changed, but files behind addresses that are not pinned are
/// downloaded into the cache.
///
/// # Errors
/// As [`build`](crate::build()).
///
/// # Panics
/// If the declaration has no pipeline.
pub async fn plan(declaration: &Dataset, places: &Places, store: &Store) -> Result<Planned> {
    let pipeline = declaration.spec.pipeline.as_ref().unwrap_or_else(|| unreachable!("it has a pipeline"));
    let mut earlier = match index::earlier(declaration, pipeline, store, &places.cache()).await? {
        Some((kept, path)) => Some(Earlier::open(kept, &path)?),
        None => None,
    };
    let mut nothing = IndexWriter::new(Spool::new(&places.temporary)?);
    let mut units = unit::list(&declaration.spec, places, store).await?;
    let mut sources: Vec<PlannedSource> = Vec::new();
    while let Some(unit) = units.next()? {
        let kind = match unit.kind {
            UnitKind::Object { .. } | UnitKind::LandedTable { .. } => "objects",
            UnitKind::File { .. } => "files",
            UnitKind::Idx(_) => "pairs of IDX files",
            UnitKind::Archive(_) => "archives",
            UnitKind::Npm => "packages",
            UnitKind::Table(_) => "tables",
        };
        let is_known = match &mut earlier {
            Some(earlier) => earlier.take(&unit, &mut nothing)?,
            None => false,
        };
        let source = match sources.iter_mut().find(|source| source.kind == kind) {
            Some(source) => source,
            None => {
                sources.push(PlannedSource { kind, units: 0, new: 0 });
                let last = sources.len() - 1;
                &mut sources[last]
            }
        };
        source.units += 1;
        source.new += u64::from(!is_known);
    }
    let head = store.head(&declaration.name).await?.map(|seen| seen.head.manifest);
    Ok(Planned { sources, head })
}
