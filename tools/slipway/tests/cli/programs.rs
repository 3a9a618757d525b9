//! Experiments that run a program of one's own: from the file to the pull request.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use slipway_dataset::idx::{write_images, write_labels};

use crate::project::{Project, Ran, git};

const FASHION: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: fashion}
spec:
  dataset: ten
  program:
    trainer: torch-cnn
    command: [python, train.py]
    args: [--lr, \"${lr}\"]
  parameters: {lr: 0.01, hidden: 128}
  sweep: {parameters.lr: [0.001, 0.01]}
  workers: {count: 2, cpu: \"1\", memory: 1Gi, gpu: 1}
  budget: {cpuHours: 4, gpuHours: 3, deadline: 30m}
  register: {model: fashion, require: {f1: \">= 0.85\"}}
";

const JOBS: &str = "overlays/local/training-jobs";

/// A project with a trainer, its image and a price of GPUs, committed and on the forge.
pub(crate) fn project() -> Project {
    project_at("")
}

fn project_at(inside: &'static str) -> Project {
    let project = Project::inside(inside);
    project.write("trainers/torch-cnn/train.py", "import os\nprint(os.environ['SLIPWAY_PARAMETERS'])\n");
    project.write("trainers/torch-cnn/data/labels.txt", "a\nb\n");
    project.write(".gitignore", "__pycache__/\n");
    replace(
        &project,
        "clusters/local/cluster.yaml",
        "  maxTrials",
        "  trainers: {torch-cnn: \"r/torch-cnn:1\"}\n  maxTrials",
    );
    replace(&project, "clusters/local/cluster.yaml", "currency: EUR", "gpuHour: 2, currency: EUR");
    project.write("experiments/fashion.yaml", FASHION);
    std::fs::remove_file(project.root().join("experiments/digits.yaml")).unwrap();
    project.commit("a program");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    project
}

fn replace(project: &Project, path: &str, from: &str, to: &str) {
    let text = project.read(path);
    assert!(text.contains(from), "{path} has no {from}");
    project.write(path, &text.replace(from, to));
}

fn propose(project: &Project, more: &[&str]) -> Ran {
    let forge = project.forge();
    let all = [&["propose", "experiments/fashion.yaml", "--remote", &forge], more].concat();
    project.run(&all)
}

#[test]
fn a_program_is_rendered_with_its_image_and_its_code() {
    let project = project();
    let ran = project.run(&["render"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let files = project.list(JOBS);
    assert_eq!(files.len(), 2);
    let tree = project.git(&["rev-parse", "HEAD:trainers/torch-cnn"]);
    for file in &files {
        let text = project.read(file);
        for part in [
            "    image: r/torch-cnn:1\n",
            "    command: [slipway-launch]\n",
            &format!("    slipway.dev/program-tree: \"{tree}\"\n"),
            &format!("{{name: SLIPWAY_PROGRAM_TREE, value: \"{tree}\"}}"),
            "nvidia.com/gpu: \"1\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    project.commit("rendered");
    assert_eq!(project.run(&["check"]).code(), 0);
    assert_eq!(project.run(&["render", "--check"]).code(), 0);
}

#[test]
fn what_git_ignores_is_no_code() {
    let project = project();
    project.write("trainers/torch-cnn/__pycache__/train.cpython-311.pyc", "x");
    project.run(&["render"]);
    let tree = project.git(&["rev-parse", "HEAD:trainers/torch-cnn"]);
    assert!(project.read(&project.list(JOBS)[0]).contains(&tree));
}

#[test]
fn the_plan_shows_the_program_and_the_price_of_gpus() {
    let project = project();
    let ran = project.run(&["plan"]);
    for line in [
        "  runs trainers/torch-cnn: python train.py --lr ${lr}, with hidden=128\n",
        "2 workers × 0.5 CPU-hours and 0.5 GPU-hours  lr=0.001\n",
        "  at most 2 of 4 CPU-hours and 2 of 3 GPU-hours, 5.00 EUR\n",
        "starts 2 TrainJobs; at most 2 CPU-hours and 2 GPU-hours, 5.00 EUR\n",
    ] {
        assert!(ran.text().contains(line), "{line}: {}", ran.text());
    }
    let plan = project.run(&["plan", "-o", "json"]).json();
    let change = &plan["changes"][0];
    assert_eq!((plan["gpuHours"].as_f64(), change["budgetGpuHours"].as_f64()), (Some(2.0), Some(3.0)));
    assert_eq!((change["cost"].as_f64(), change["starts"][0]["gpuHours"].as_f64()), (Some(5.0), Some(1.0)));
    assert_eq!(change["program"]["code"], "trainers/torch-cnn");
    assert_eq!(change["program"]["parameters"], serde_json::json!({"hidden": 128}));
    let markdown = project.run(&["plan", "--markdown"]).text();
    assert!(markdown.contains("Runs `trainers/torch-cnn: python train.py --lr ${lr}, with hidden=128`."), "{markdown}");
    assert!(markdown.contains("| `lr=0.001` | 2 | 1 | 1 |\n"), "{markdown}");
}

#[test]
fn a_job_keeps_its_code_until_it_is_run_again() {
    let project = project();
    project.run(&["render"]);
    project.commit("rendered");
    let before: Vec<String> = project.list(JOBS).iter().map(|file| project.read(file)).collect();
    replace(&project, "trainers/torch-cnn/train.py", "import os", "import os  # better");
    let note = "2 unchanged TrainJobs keep the code that they were rendered with, and trainers/torch-cnn has changed: raise `rerun` to run \
                the new code";
    let plan = project.run(&["plan"]);
    assert!(plan.text().contains(note), "{plan:?}");
    assert_eq!(project.run(&["plan", "-o", "json"]).json()["changes"][0]["keepsCode"], 2);
    let in_markdown = note.replace("trainers/torch-cnn", "`trainers/torch-cnn`");
    assert!(project.run(&["plan", "--markdown"]).text().contains(&in_markdown));
    assert_eq!(project.run(&["check"]).code(), 0, "a job that keeps its code is not out of date");
    project.run(&["render"]);
    let after: Vec<String> = project.list(JOBS).iter().map(|file| project.read(file)).collect();
    assert_eq!(after, before);

    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    let ran = propose(&project, &["--dry-run"]);
    assert!(ran.code() == 0 && ran.text().contains(note), "{ran:?}");

    replace(&project, "experiments/fashion.yaml", "  budget", "  rerun: 2\n  budget");
    assert!(!project.run(&["plan"]).text().contains("keep the code"));
    project.run(&["render"]);
    project.commit("again");
    let tree = project.git(&["rev-parse", "HEAD:trainers/torch-cnn"]);
    assert!(project.read(&project.list(JOBS)[0]).contains(&tree));
}

#[test]
fn a_proposal_holds_the_code_and_its_image() {
    for inside in ["", "mono/ml"] {
        let project = project_at(inside);
        // none of this is committed here
        project.write("trainers/torch-cnn/run.sh", "#!/bin/sh\nexec python train.py\n");
        let script = project.root().join("trainers/torch-cnn/run.sh");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::remove_file(project.root().join("trainers/torch-cnn/data/labels.txt")).unwrap();
        project.write("trainers/other/train.py", "");
        replace(&project, "clusters/local/cluster.yaml", "torch-cnn:1", "torch-cnn:2");
        replace(&project, "clusters/local/cluster.yaml", "maxTrials: 100", "maxTrials: 99");
        let ran = propose(&project, &["-o", "json"]);
        assert_eq!(ran.code(), 0, "{ran:?}");
        let forge = std::path::PathBuf::from(project.forge());
        let prefix = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        let at = |path: &str| git(&forge, &["show", &format!("refs/pull/1/head:{prefix}{path}")]);
        let tree = git(&forge, &["rev-parse", &format!("refs/pull/1/head:{prefix}trainers/torch-cnn")]);
        let listed = git(&forge, &["ls-tree", "-r", "refs/pull/1/head"]);
        let files: Vec<&str> = listed.lines().filter(|line| line.contains("trainers/")).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files[0].starts_with("100755") && files[0].ends_with("torch-cnn/run.sh"), "{files:?}");
        // only the image comes along, not what else differs in that file
        let cluster = at("clusters/local/cluster.yaml");
        assert!(cluster.contains("r/torch-cnn:2") && cluster.contains("maxTrials: 100"), "{cluster}");
        let job = ran.json()["plan"]["changes"][0]["starts"][0]["name"].as_str().unwrap().to_owned();
        let job = at(&format!("{JOBS}/{job}.yaml"));
        assert!(job.contains("image: r/torch-cnn:2\n") && job.contains(&tree), "{tree}: {job}");
    }
}

#[test]
fn mistakes_that_only_the_project_can_know() {
    let unknown = project();
    replace(&unknown, "experiments/fashion.yaml", "trainer: torch-cnn", "trainer: torch-cn");
    let without_image = project();
    replace(&without_image, "clusters/local/cluster.yaml", "torch-cnn:", "another:");
    let without_price = project();
    replace(&without_price, "clusters/local/cluster.yaml", "gpuHour: 2, ", "");
    let without_digest = project();
    replace(&without_digest, "clusters/local/cluster.yaml", "  maxTrials", "  imagesByDigest: true\n  maxTrials");
    let linked = project();
    std::os::unix::fs::symlink("train.py", linked.root().join("trainers/torch-cnn/same.py")).unwrap();
    for (project, position, says) in [
        (
            unknown,
            "experiments/fashion.yaml:7:14 unknown-trainer",
            "there is no trainer `torch-cn`: trainers/torch-cn does not exist [unknown-trainer]\n    did you mean `torch-cnn`?",
        ),
        (
            without_image,
            "experiments/fashion.yaml:7:14 trainer-without-image",
            "trainer `torch-cnn` has no image in local [trainer-without-image]\n    add `trainers: {torch-cnn: IMAGE}` below `spec` of clusters/local/cluster.yaml",
        ),
        (
            without_price,
            "experiments/fashion.yaml:12:51 gpu-without-price",
            "a GPU has no price in local, so nobody can say what this costs [gpu-without-price]\n    add `gpuHour` below `spec.prices` of clusters/local/cluster.yaml",
        ),
        (
            without_digest,
            "clusters/local/cluster.yaml:6:25 image-without-digest",
            "the image of trainer `torch-cnn` is r/torch-cnn:1, and local requires images by digest",
        ),
        (
            linked,
            "trainers/torch-cnn/same.py:1:1 link",
            "is a link to trainers/torch-cnn/train.py, which is not followed",
        ),
    ] {
        let ran = project.run(&["check", "-o", "json"]);
        assert!(ran.code() == 3 && ran.findings().contains(&position.to_owned()), "{position}: {ran:?}");
        let shown = project.run(&["check"]);
        assert!(shown.errors().contains(says), "{says}: {}", shown.errors());
    }
}

#[test]
fn a_parameter_that_nobody_uses_is_a_warning() {
    let project = project();
    assert_eq!(project.run(&["check"]).errors(), "", "the program reads them from the environment");
    project.write("trainers/torch-cnn/train.py", "import sys\n");
    let warning = "warning: experiments/fashion.yaml:10:26: nobody uses the parameter `hidden` [unused-parameter]\n    write ${hidden} into spec.program.args, or \
                   read SLIPWAY_PARAMETERS in trainers/torch-cnn; or remove it\n";
    for command in ["check", "plan"] {
        let ran = project.run(&[command]);
        assert_eq!((ran.code(), ran.errors().as_str()), (0, warning), "{command}");
    }
    assert_eq!(propose(&project, &["--dry-run"]).errors(), warning);
    let json = project.run(&["check", "-o", "json"]).json();
    assert_eq!(json["warnings"][0]["code"], "unused-parameter");
}

/// From a job to the code that it runs, also when the folder has changed since.
#[test]
fn the_code_of_a_job_is_traced() {
    let project = project();
    let ran = propose(&project, &["-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let job = ran.json()["plan"]["changes"][0]["starts"][0]["name"].as_str().unwrap().to_owned();
    let tree = project.git(&["rev-parse", "HEAD:trainers/torch-cnn"]);
    let forge = project.forge();
    git(std::path::Path::new(&forge), &["update-ref", "refs/heads/main", "refs/pull/1/head"]);
    let pull = |project: &Project| {
        project.git(&["fetch", "--quiet", &forge, "main"]);
        project.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    };
    pull(&project);
    project.write("trainers/torch-cnn/train.py", "import os\nprint('newer', os.environ['SLIPWAY_PARAMETERS'])\n");
    project.commit("newer code");

    let trace = |more: &[&str]| project.run(&[&["trace", &job, "--branch", "HEAD", "--remote", &forge], more].concat());
    let ran = trace(&["-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let program = ran.json()["program"].clone();
    assert_eq!((&program["folder"], &program["tree"]), (&"trainers/torch-cnn".into(), &tree.as_str().into()));
    // the proposal did not change the code, which an earlier commit had brought
    assert_eq!(program["commit"]["subject"], "a program");
    let text = trace(&[]).text();
    assert!(text.contains(&format!("tree {tree}")), "{text}");
    let (_, command) = text.split_once("git ls-tree -r --full-tree ").expect(&text);
    let listed = command.split_whitespace().next().unwrap();
    let listed = project.git(&["ls-tree", "-r", "--full-tree", "--name-only", listed]);
    assert_eq!(listed, "data/labels.txt\ntrain.py");

    // the code has moved on when a job of the older code is merged
    let file = format!("{JOBS}/{job}.yaml");
    let older = project.read(&file);
    project.git(&["rm", "--quiet", &file]);
    project.commit("not there yet");
    project.write(&file, &older);
    project.commit("merged late");
    let ran = trace(&["-o", "json"]);
    assert_eq!((ran.code(), ran.json()["program"].clone()), (0, program), "{ran:?}");

    // a job of code that nobody has
    let other = project.read(&file).replace(&tree, &"0123456789".repeat(4));
    pull(&project);
    project.git(&["rm", "--quiet", &file]);
    project.commit("cancelled");
    project.write(&file, &other);
    project.commit("other code");
    let ran = trace(&["-o", "json"]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    let reasons = ran.json()["unresolved"].to_string();
    assert!(
        reasons.contains("\"part\":\"program\"") && reasons.contains("no commit of HEAD brought this code"),
        "{reasons}"
    );
}

#[test]
fn a_new_program_can_be_run_and_never_overwrites() {
    let project = Project::new();
    let ran = project.run(&["new", "shirts", "--program", "my-cnn"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    for file in ["experiments/shirts.yaml", "trainers/my-cnn/train.py", "clusters/local/cluster.yaml"] {
        assert!(ran.text().contains(&format!("+ {file}\n")), "{ran:?}");
    }
    let checked = project.run(&["check"]);
    assert_eq!((checked.code(), checked.errors().as_str()), (0, ""), "{checked:?}");
    let image = project.read("trainers/my-cnn/image.yaml");
    assert!(image.contains("name: my-cnn\n"), "{image}");
    for text in [&image, &project.read("trainers/my-cnn/requirements.in")] {
        assert!(!text.contains("wine") && !text.contains("../"), "{text}");
    }
    assert!(project.read("clusters/local/cluster.yaml").contains("  trainers:\n    my-cnn: slipway/my-cnn:0.1.0\n"));
    // nothing of it is committed, and all of it is proposed
    let forge = project.forge();
    let ran = project.run(&["propose", "experiments/shirts.yaml", "--remote", &forge]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    let code = git(std::path::Path::new(&forge), &["ls-tree", "--name-only", "refs/pull/1/head:trainers/my-cnn"]);
    assert_eq!(code, ".gitignore\nimage.lock\nimage.yaml\nrequirements.in\nrequirements.lock\ntrain.py");
    let images = project.run(&["image", "list", "-o", "json"]);
    let image = images.json()[0].clone();
    // none if the lock did not fit the declaration
    assert_eq!((&image["name"], &image["platforms"][0]), (&"my-cnn".into(), &"linux/amd64".into()), "{images:?}");

    project.write("trainers/my-cnn/train.py", "mine\n");
    let ran = project.run(&["new", "shoes", "--program", "my-cnn", "-o", "json"]);
    assert_eq!(ran.json()["files"], serde_json::json!(["experiments/shoes.yaml"]), "{ran:?}");
    assert_eq!(project.read("trainers/my-cnn/train.py"), "mine\n");
    assert_eq!(project.run(&["new", "shoes", "--program", "my-cnn"]).code(), 3);
    let ran = project.run(&["new", "boots", "--program", "My_CNN"]);
    assert!(ran.code() == 3 && ran.errors().contains("--program My_CNN: a trainer is named by"), "{ran:?}");
    assert!(!project.root().join("experiments/boots.yaml").exists());
    assert_eq!(project.run(&["new", "boots", "--program", "x", "--architecture", "cnn"]).code(), 2);

    // its code reads images
    let declared = "apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: rows}\nspec:\n  source: {csv: {from: rows.csv, label: y}}\n  \
                    split: {train: 2, validation: 1, test: 1, seed: 0}\n";
    project.write("datasets/rows.yaml", declared);
    let ran = project.run(&["new", "boots", "--dataset", "rows", "--program", "boots"]);
    assert!(
        ran.code() == 0 && ran.errors().contains("train.py reads images in IDX files, and rows has other files"),
        "{ran:?}"
    );
}

/// Runs a program, and fails if threads of PyTorch's process group, which were there, are left: they may abort Python when it exits.
const LEAVES_NO_THREAD: &str = "\
import os, runpy, sys
import torch.distributed
def threads():
    return [open(f'/proc/self/task/{thread}/comm').read().strip() for thread in os.listdir('/proc/self/task')]
def destroy(*arguments, destroy=torch.distributed.destroy_process_group):
    assert 'pt_gloo_runloop' in threads(), threads()
    destroy(*arguments)
torch.distributed.destroy_process_group = destroy
runpy.run_path(sys.argv.pop(1), run_name='__main__')
assert 'pt_gloo_runloop' not in threads(), threads()
";

/// The program of the skeleton trains as torchrun starts it, with two processes, and logs what the gate asks for.
#[test]
fn the_program_of_the_skeleton_trains() {
    let python = std::env::var("SLIPWAY_PYTHON_TORCH").expect("SLIPWAY_PYTHON_TORCH is not set; `make test` sets it");
    let project = Project::new();
    assert_eq!(project.run(&["new", "shirts", "--program", "my-cnn"]).code(), 0);
    let data = project.root().join("data");
    for (split, count) in [("train", 64_usize), ("validation", 16), ("test", 16)] {
        let folder = data.join(split);
        std::fs::create_dir_all(&folder).unwrap();
        // a black image is a 0, a white one a 1
        let labels: Vec<u8> = (0..count).map(|index| u8::from(index % 2 == 1)).collect();
        let images: Vec<u8> = labels.iter().flat_map(|label| [label * 255; 64]).collect();
        std::fs::write(folder.join("images-idx3-ubyte"), write_images(8, 8, &images).unwrap()).unwrap();
        std::fs::write(folder.join("labels-idx1-ubyte"), write_labels(&labels).unwrap()).unwrap();
    }
    let database = format!("sqlite:///{}", project.root().join("runs.db").display());
    project.write("leaves_no_thread.py", LEAVES_NO_THREAD);
    let mut command = Command::new(&python);
    command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]);
    command.arg(project.root().join("leaves_no_thread.py")).arg("train.py");
    command.args(["--epochs", "10", "--batch-size", "16", "--learning-rate", "0.01"]);
    command.current_dir(project.root().join("trainers/my-cnn")).env("SLIPWAY_DATA", &data).env("OMP_NUM_THREADS", "1");
    command
        .env("MLFLOW_TRACKING_URI", &database)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MLFLOW_DISABLE_TELEMETRY", "true");
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let mut query = Command::new(&python);
    query.args(["-c", "import mlflow\nrun, = mlflow.search_runs(output_format='list')\nmodel, = mlflow.search_logged_models(output_format='list')\nprint(run.data.metrics['accuracy'], run.data.metrics['epoch'], model.status)"]);
    query.env("MLFLOW_TRACKING_URI", &database).env("MLFLOW_DISABLE_TELEMETRY", "true").current_dir(project.root());
    let answer = query.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "1.0 10.0 READY\n",
        "{}{said}",
        String::from_utf8_lossy(&answer.stderr)
    );
}
