//! Where the parts of a wheel go. <https://docs.python.org/3/library/sysconfig.html#installation-paths>

/// Folders relative to the top of a tree, and the interpreter that starts the scripts.
#[derive(Clone, Debug)]
pub(crate) struct Scheme {
    /// Modules.
    pub(crate) packages: String,
    /// Commands.
    pub(crate) scripts: String,
    /// C headers.
    pub(crate) headers: String,
    /// The data of packages; empty for the top.
    pub(crate) data: String,
    /// The first line of a script, without `#!` and the end of the line.
    pub(crate) interpreter: String,
}

impl Scheme {
    /// Where the Python of a Debian image looks for packages that are not Debian's.
    pub(crate) fn of_image(version: &str) -> Self {
        Self {
            packages: format!("usr/local/lib/python{version}/dist-packages"),
            scripts: "usr/local/bin".to_owned(),
            headers: format!("usr/local/include/python{version}"),
            data: "usr/local".to_owned(),
            interpreter: format!("/usr/bin/python{version}"),
        }
    }

    /// A virtual environment for a Python of this version, such as `3.11`.
    pub(crate) fn of_venv(version: &str, interpreter: String) -> Self {
        Self {
            packages: format!("lib/python{version}/site-packages"),
            scripts: "bin".to_owned(),
            headers: format!("include/site/python{version}"),
            data: String::new(),
            interpreter,
        }
    }
}
