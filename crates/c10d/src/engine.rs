//! Runs a model that was trained elsewhere.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;

use tch::Tensor;

use crate::ffi::{self, Handle, Message};
use crate::{Error, Result};

/// A model that libtorch runs on the CPU, for one thread at a time; [`Engine::share`] makes one for another thread.
///
/// Both kinds of file are programs: load none that a stranger made.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
}

// SAFETY: libtorch's modules and loaders are not bound to the thread that made them.
unsafe impl Send for Engine {}

impl Engine {
    /// Loads TorchScript, in evaluation mode.
    ///
    /// # Errors
    /// [`Error::Engine`] with libtorch's reason.
    pub fn script(file: &Path) -> Result<Self> {
        let path = path(file)?;
        let mut handle = null_mut();
        // SAFETY: the path outlives the call, and the out pointer is valid for it.
        check(unsafe { ffi::engine_script(path.as_ptr(), &mut handle) }).map_err(in_file(file))?;
        Ok(Self { handle })
    }

    /// Loads a package of AOTInductor, for at most `runners` threads at once. It is unpacked into the folder for temporary files, and
    /// stays there until the last engine that shares it is dropped.
    ///
    /// libtorch does not compare a call's tensors with what the package was compiled for, unless the environment has
    /// `AOTI_RUNTIME_CHECK_INPUTS=1` when the package is loaded: a tensor of another shape is undefined behaviour. With that variable, a
    /// dimension of any size must be at least 2.
    ///
    /// # Errors
    /// [`Error::Engine`] with libtorch's reason.
    pub fn package(file: &Path, runners: usize) -> Result<Self> {
        know_libtorch()?;
        let path = path(file)?;
        let mut handle = null_mut();
        // SAFETY: the path outlives the call, and the out pointer is valid for it.
        check(unsafe { ffi::engine_package(path.as_ptr(), runners.max(1), &mut handle) }).map_err(in_file(file))?;
        Ok(Self { handle })
    }

    /// One for another thread, with the same weights.
    ///
    /// # Errors
    /// [`Error::Engine`] with libtorch's reason.
    pub fn share(&self) -> Result<Self> {
        let mut handle = null_mut();
        // SAFETY: the handle is valid, and the out pointer is valid for the call.
        check(unsafe { ffi::engine_share(self.handle, &mut handle) })?;
        Ok(Self { handle })
    }

    /// Runs the model. Returns as many tensors as there are names: those that it returns in their order, or by these names if it returns
    /// a dictionary.
    ///
    /// # Errors
    /// [`Error::Engine`] when it fails, or returns something else.
    pub fn run(&mut self, inputs: &[Tensor], outputs: &[CString]) -> Result<Vec<Tensor>> {
        let tensors: Vec<Handle> = inputs.iter().map(ffi::pointer).collect();
        let names: Vec<_> = outputs.iter().map(|name| name.as_ptr()).collect();
        let mut answers = vec![null_mut(); names.len()];
        // SAFETY: the arrays have the lengths that are given, and what they point to lives for the call.
        let message = unsafe {
            ffi::engine_run(
                self.handle,
                tensors.as_ptr(),
                tensors.len(),
                names.as_ptr(),
                names.len(),
                answers.as_mut_ptr(),
            )
        };
        check(message)?;
        // SAFETY: without a message, each is a tensor of its own that nothing else frees.
        Ok(answers.into_iter().map(|answer| unsafe { Tensor::from_ptr(answer.cast()) }).collect())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the handle came from the shim and is freed once.
        // If freeing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::engine_free(self.handle)) };
    }
}

/// Makes `libtorch.so` known to the packages that are loaded later. Each names it as a library that it needs, because PyTorch links
/// extensions to it; programs like this one link to libtorch_cpu.so, where everything is.
fn know_libtorch() -> Result<()> {
    /// An empty library of that name, which the build script links.
    const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libtorch.so"));
    static KNOWN: OnceLock<Result<(), String>> = OnceLock::new();

    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let make_known = || {
        let file = std::env::temp_dir().join(format!("libtorch-{}.so", std::process::id()));
        std::fs::write(&file, LIBRARY).map_err(|error| format!("writing {}: {error}", file.display()))?;
        let path = path(&file).map_err(|error| error.to_string())?;
        // SAFETY: the path outlives the call, and the library runs no code.
        let loaded = check(unsafe { ffi::engine_library(path.as_ptr()) });
        // once loaded, it needs no file
        let _ = std::fs::remove_file(&file);
        loaded.map_err(|error| error.to_string())
    };
    KNOWN.get_or_init(make_known).clone().map_err(Error::Engine)
}

fn path(file: &Path) -> Result<CString> {
    CString::new(file.as_os_str().as_bytes())
        .map_err(|_| Error::Argument(format!("the path {} contains a zero byte", file.display())))
}

fn check(message: Message) -> Result<()> {
    // SAFETY: every caller passes what an entry of the shim returned.
    unsafe { ffi::take(message) }.map_err(|reason| Error::Engine(brief(&reason)))
}

/// Names the file, which libtorch's own message may leave out.
fn in_file(file: &Path) -> impl Fn(Error) -> Error {
    move |error| Error::Engine(format!("{}: {error}", file.display()))
}

/// The longest reason that is passed on, in characters.
const LONGEST: usize = 600;

/// libtorch's message without the traceback of the model's source, whose last lines say what failed.
fn brief(reason: &str) -> String {
    let lines = reason.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = reason.rsplit("RuntimeError: ").next().filter(|last| last.len() < reason.len());
    let text = last.map_or_else(|| lines.collect::<Vec<_>>().join(" "), |last| last.trim().to_owned());
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_is_left_out() {
        let script = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, serialized code (most recent \
            call last):\n  File \"x\", line 3\n    ~~ <--- HERE\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)\n";
        assert_eq!(brief(script), "mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)");
        assert_eq!(brief("a\n\n  b\n"), "a b");
    }

    #[test]
    fn what_is_no_model_is_an_error() {
        let folder = std::env::temp_dir();
        for made in [Engine::script(&folder.join("none.ts")), Engine::package(&folder.join("none.pt2"), 1)] {
            let error = made.unwrap_err().to_string();
            assert!(error.contains("none."), "{error}");
        }
    }
}
