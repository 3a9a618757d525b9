//! From what people have to a dataset: IDX files, folders of images, CSV and Parquet, as files, archives, addresses and objects.
//!
//! ```text
//! declaration --fetch--> files --open--> plain files --read, check, split--> LocalDataset
//! ```
//!
//! Whatever does not fit the declaration is a [`Problem`] that says where in the data it is, and what to do. Only the command line and the
//! pipeline use this crate: a training program gets its dataset from the store.

mod archive;
mod classes;
mod copy;
mod csv;
mod error;
mod fetch;
mod http;
mod idx;
mod images;
mod make;
mod open;
mod parquet;
mod splits;
mod table;

pub use archive::Limits;
pub use error::{Error, Problem};
pub use fetch::{Fetched, Located, fetch};
pub use make::{Made, Places, make};
pub use open::{Plain, Unpacking, file as open_file, folder as open_folder};
pub use table::{Cell, Row, TableForm, TableWriter, WrongRow, rows, typed, typed_columns};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
