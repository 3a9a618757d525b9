//! The images of training programs: small, with the code alone at the top, and with a PyTorch that works without a GPU's libraries.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use slipway_images::built::{Image, PROGRAMS};
use slipway_images::container::{options, tar};
use slipway_images::containerd::Containerd;
use slipway_loop::programs::fresh_clone;

const MB: u64 = 1_000_000;

#[test]
fn a_program_of_pytorch_is_at_most_400_mb() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    for name in PROGRAMS {
        let size: u64 = Image::build(&clone, name, &folder.path().join(name))?.layers().values().sum();
        ensure!(size <= 400 * MB, "{name} has {size} bytes");
    }
    Ok(())
}

#[test]
fn a_change_of_the_code_changes_the_top_layer_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let before = Image::build(&clone, "wine", &folder.path().join("before"))?;
    let script = clone.join("trainers/wine/train.py");
    std::fs::write(&script, std::fs::read_to_string(&script)? + "\n# changed\n")?;
    let after = Image::build(&clone, "wine", &folder.path().join("after"))?;

    let (old, new) = (before.layers(), after.layers());
    let changed: Vec<(&String, &u64)> = new.iter().filter(|(digest, _)| !old.contains_key(*digest)).collect();
    ensure!(changed.len() == 1 && old.len() == new.len(), "{changed:?} of {new:?}");
    ensure!(*changed[0].1 < 20_000, "a change of the code is {} bytes", changed[0].1);
    let top = after.manifest["layers"].as_array().and_then(|layers| layers.last()).context("a layer")?;
    ensure!(top["digest"] == changed[0].0.as_str(), "{top} is not the layer that changed");
    let mut in_program = Vec::new();
    after.files(|path, header, _| {
        if path.starts_with("opt/program/") && header.entry_type().is_file() {
            in_program.push((path.to_owned(), header.mode().unwrap_or_default()));
        }
    })?;
    ensure!(in_program == [("opt/program/train.py".to_owned(), 0o644)], "{in_program:?}");
    Ok(())
}

#[test]
fn what_was_left_out_is_in_the_bill_of_materials() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    fresh_clone(&clone)?;
    let image = Image::build(&clone, "torch-cnn", &folder.path().join("torch-cnn"))?;
    let referrers = image.referrers()?;
    let (_, bill) = referrers.iter().find(|(kind, _)| kind.contains("cyclonedx")).context("a bill of materials")?;
    let components = bill["components"].as_array().context("components")?;
    let has = |purl: &str| components.iter().any(|one| one["purl"].as_str().is_some_and(|text| text.starts_with(purl)));
    ensure!(has("pkg:pypi/torch@2.13.0") && has("pkg:pypi/nvidia-cuda-runtime@"), "{components:?}");
    ensure!(!has("pkg:pypi/nvidia-cudnn") && !has("pkg:pypi/triton"), "{components:?}");
    let stand_in = |one: &serde_json::Value| one["name"].as_str().is_some_and(|name| name.ends_with("/libcudnn.so.9"));
    ensure!(components.iter().any(stand_in), "no stand-in is listed: {components:?}");
    let properties = bill["metadata"]["component"]["properties"].to_string();
    ensure!(properties.contains(".nv_fatbin") && properties.contains("nvidia-*"), "{properties}");
    Ok(())
}

/// Two processes that reduce a tensor, train a step with DistributedDataParallel, and export the model.
const TRAINS: &str = r#"
import os, sys
import torch, torch.distributed as dist, torch.multiprocessing as mp
import mlflow
from mlflow.models import infer_signature

def work(rank):
    dist.init_process_group("gloo", init_method="file:///tmp/meeting", rank=rank, world_size=2)
    tensor = torch.full((3,), float(rank + 1))
    dist.all_reduce(tensor)
    assert tensor.tolist() == [3.0] * 3, tensor
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 2))
    model(torch.ones(2, 3)).sum().backward()
    dist.destroy_process_group()

if __name__ == "__main__":
    assert not torch.cuda.is_available()
    mp.spawn(work, nprocs=2)
    exported = torch.export.export(torch.nn.Linear(3, 2), (torch.ones(2, 3),))
    rows = torch.ones(2, 3).numpy()
    assert infer_signature(rows, rows).inputs.is_tensor_spec(), "MLflow lacks a package for signatures"
    print("trained with", torch.__version__)
"#;

#[test]
fn pytorch_trains_without_the_libraries_of_a_gpu() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let image = containerd.import(&tar(&clone, "torch-cnn", containerd.folder())?)?;
    let script = containerd.folder().join("trains.py");
    std::fs::write(&script, TRAINS)?;
    let run = |id: &str, program: &[&str]| -> Result<(bool, String)> {
        let mount = format!("type=bind,src={},dst=/trains.py,options=rbind:ro", script.display());
        let mut command: Command = containerd.ctr();
        command.args(["run", "--rm"]).args(options()).args(["--mount", &mount, &image, id]).args(program);
        let done = command.output()?;
        let output = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        Ok((done.status.success(), output))
    };
    let (ended_well, output) = run("trains", &["python", "/trains.py"])?;
    ensure!(ended_well && output.contains("trained with 2.13.0"), "{output}");
    let help = run("help", &["python", "/opt/program/train.py", "--help"])?;
    ensure!(help.0 && help.1.contains("--lr"), "{}", help.1);
    // what only a GPU needs says so, instead of a crash
    let missing = "import ctypes, torch; ctypes.CDLL(torch.__path__[0] + '/lib/libcublas.so.13').cublasCreate_v2()";
    let (ended_well, output) = run("missing", &["python", "-c", missing])?;
    ensure!(!ended_well && output.contains("cublasCreate_v2 was called, and its library was left out"), "{output}");
    Ok(())
}
