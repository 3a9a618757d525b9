//! What a person edits before the first commit, as docs/kind.md and docs/github.md say.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Writes the URL of the repository into the settings of clusters/local.
pub(crate) fn set_repository(root: &Path, url: &str) -> Result<()> {
    let path = root.join("clusters/local/settings/settings.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let edited = with_repository(&text, url).with_context(|| format!("editing {}", path.display()))?;
    Ok(fs::write(&path, edited)?)
}

/// Those who write on GitHub: each is a component, a namespace and a Deployment.
pub(crate) const WRITERS: [&str; 2] = ["training-manager", "dataset-monitor"];

/// Tells those who write there which host is GitHub, and whose signature on its certificate is good.
pub(crate) fn set_github(root: &Path, host: &str, authority: &Path) -> Result<()> {
    for writer in WRITERS {
        let folder = root.join("overlays/local").join(writer);
        fs::copy(authority, folder.join("ca.crt")).with_context(|| format!("copying {}", authority.display()))?;
        let path = folder.join("kustomization.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        fs::write(&path, with_github(&text, writer, host)?)?;
    }
    Ok(())
}

/// The overlay of one who writes there with a GitHub of one's own.
fn with_github(overlay: &str, writer: &str, host: &str) -> Result<String> {
    ensure!(!overlay.contains("configMapGenerator:"), "the overlay makes ConfigMaps already:\n{overlay}");
    Ok(format!(
        "{}
configMapGenerator:
  - {{name: {writer}, namespace: {writer}, behavior: merge, literals: [GH_HOST={host}]}}
  - {{name: authority, namespace: {writer}, files: [ca.crt]}}
",
        overlay.trim_end()
    ))
}

/// The settings with another repository.
fn with_repository(settings: &str, url: &str) -> Result<String> {
    const KEY: &str = "  repository: ";
    let lines: Vec<&str> = settings.split('\n').collect();
    ensure!(lines.iter().filter(|line| line.starts_with(KEY)).count() == 1, "it does not name the repository once");
    let edited =
        lines.iter().map(|line| if line.starts_with(KEY) { format!("{KEY}{url}") } else { (*line).to_owned() });
    Ok(edited.collect::<Vec<_>>().join("\n"))
}

/// kind's configuration with another port of this machine for the Gateway.
pub(crate) fn with_host_port(config: &str, port: u16) -> Result<String> {
    const PORT: &str = "hostPort: 80,";
    ensure!(config.matches(PORT).count() == 1, "kind.yaml does not map port 80 once:\n{config}");
    Ok(config.replacen(PORT, &format!("hostPort: {port},"), 1))
}

#[cfg(test)]
mod tests {
    use slipway_loop::programs::repository;

    use super::*;

    fn file(path: &str) -> String {
        fs::read_to_string(repository().join("clusters/local").join(path)).unwrap()
    }

    /// The lines that are not in the other text.
    fn changed<'a>(of: &'a str, other: &str) -> Vec<&'a str> {
        of.lines().filter(|line| !other.lines().any(|one| one == *line)).collect()
    }

    const URL: &str = "http://172.18.0.1:6443/slipway-dev/slipway.git";

    #[test]
    fn the_settings_of_this_repository_get_another_repository_and_nothing_else_changes() {
        let settings = file("settings/settings.yaml");
        let edited = with_repository(&settings, URL).unwrap();
        assert_eq!(changed(&edited, &settings), [format!("  repository: {URL}")]);
        assert_eq!(changed(&settings, &edited).len(), 1);
        assert_eq!(edited.lines().count(), settings.lines().count());
        assert_eq!(with_repository(&edited, URL).unwrap(), edited);
    }

    #[test]
    fn the_overlay_of_this_repository_gets_a_github_as_the_documentation_says() {
        let documentation = fs::read_to_string(repository().join("docs/github.md")).unwrap();
        for writer in WRITERS {
            let path = format!("overlays/local/{writer}/kustomization.yaml");
            let overlay = fs::read_to_string(repository().join(path)).unwrap();
            let edited = with_github(&overlay, writer, "github.example.org").unwrap();
            for line in changed(&edited, &overlay) {
                assert!(documentation.lines().any(|said| said.trim_start() == line.trim_start()), "{line}");
            }
            with_github(&edited, writer, "x").unwrap_err();
        }
    }

    #[test]
    fn the_line_ends_stay() {
        let edited = with_repository("data:\n  repository: a\n  revision: main", URL).unwrap();
        assert_eq!(edited, format!("data:\n  repository: {URL}\n  revision: main"));
    }

    #[test]
    fn settings_that_name_no_repository_or_two_are_refused() {
        for settings in ["data:\n  revision: main\n", "  repository: a\n  repository: b\n"] {
            with_repository(settings, URL).unwrap_err();
        }
    }

    #[test]
    fn the_configuration_of_this_repository_gets_another_port() {
        let config = file("kind.yaml");
        let edited = with_host_port(&config, 8080).unwrap();
        assert_eq!(changed(&edited, &config).len(), 1, "{edited}");
        assert!(edited.contains("{hostPort: 8080, containerPort: 30080, listenAddress: 127.0.0.1}"), "{edited}");
        with_host_port(&edited, 81).unwrap_err();
    }
}
