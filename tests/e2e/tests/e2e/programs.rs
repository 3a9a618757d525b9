//! The example programs as pods, from the experiment to an answer through the Gateway.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use slipway_e2e::{Stack, until};
use slipway_loop::answer::best;
use slipway_loop::squares::{self, replaced};
use slipway_loop::wine;

/// Longer than a job takes; its pods import PyTorch on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn a_table_is_trained_on_by_a_program_and_served() -> Result<()> {
    let stack = Stack::get()?;
    stack.add_dataset("datasets/wine.yaml")?;
    let example = std::fs::read_to_string(stack.repository().root().join("examples/wine/experiment.yaml"))?;
    let job = start(stack, "wine", &example)?;
    stack.completes(&job, LIMIT)?;
    registered_once(stack, "wine", &job)?;
    let answer = promoted_answer(stack, "wine", &wine::request())?;
    ensure!(best(&answer) == Some(0), "{answer}");
    answers_in_its_other_protocols(stack, &wine::request())?;
    let traced = stack.slipway(&["trace", &job])?;
    ensure!(traced["program"]["folder"] == "trainers/wine", "{traced}");
    Ok(())
}

/// Asks for the same through the Gateway by gRPC, and as code does that was written for `mlflow models serve`.
fn answers_in_its_other_protocols(stack: &Stack, request: &Value) -> Result<()> {
    let python =
        std::env::var("SLIPWAY_PYTHON_TRITON").context("SLIPWAY_PYTHON_TRITON is not set; `make e2e` sets it")?;
    let row = &request["inputs"][0]["data"];
    let url = stack.url("models");
    let (host, port) = url.trim_start_matches("http://").split_once(':').context("the Gateway has a port")?;
    let done = Command::new(python).args(["-c", GRPC, host, port, &row.to_string()]).output()?;
    let (printed, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success() && printed.trim() == "0", "{}: {printed}{errors}", done.status);

    let body = json!({"inputs": [row]}).to_string();
    let post = stack.http().post(format!("{url}/invocations?model=wine")).header("Content-Type", "application/json");
    let answer: Value = serde_json::from_str(&post.body(body).send()?.error_for_status()?.text()?)?;
    ensure!(answer["predictions"].as_array().is_some_and(|rows| rows.len() == 1), "{answer}");
    ensure!(stack.http().get(format!("{url}/ping")).send()?.status() == 200, "/ping is not answered");
    Ok(())
}

/// Prints the class of a row; the host's name is not resolved, because this machine need not know it.
const GRPC: &str = r#"
import json, sys
import numpy, tritonclient.grpc as grpc
host, port, row = sys.argv[1:]
client = grpc.InferenceServerClient(f"127.0.0.1:{port}", channel_args=[("grpc.default_authority", host), ("grpc.enable_http_proxy", 0)])
row = numpy.array([json.loads(row)], numpy.float32)
given = grpc.InferInput("input", list(row.shape), "FP32")
given.set_data_from_numpy(row)
answer = client.infer("wine", [given])
print(answer.as_numpy(answer.get_response().outputs[0].name)[0].argmax())
"#;

#[test]
fn a_program_of_which_a_worker_is_killed_trains_again_and_is_served() -> Result<()> {
    let stack = Stack::get()?;
    add_squares(stack)?;
    let text = squares::torch_cnn(stack.repository().root(), "e2e-squares")?;
    // long enough to be killed after the first report of its progress, which comes some seconds late
    let text = replaced(&text, "epochs: 3", "epochs: 150")?;
    let job = start(stack, "e2e-squares", &text)?;
    stack.training(&job, LIMIT)?;
    stack.kill_worker(&job, 1)?;
    stack.completes(&job, LIMIT)?;
    registered_once(stack, "fashion", &job)?;
    let runs = stack.runs("e2e-squares")?;
    let finished = runs.iter().filter(|run| run.status == "FINISHED").count();
    ensure!(runs.len() == 2 && finished == 1 && runs.iter().all(|run| run.status != "RUNNING"), "{runs:#?}");
    let answer = promoted_answer(stack, "fashion", &squares::request(3))?;
    ensure!(best(&answer) == Some(3), "{answer}");
    Ok(())
}

#[test]
fn a_gate_refuses_what_a_program_has_trained() -> Result<()> {
    let stack = Stack::get()?;
    add_squares(stack)?;
    let text = squares::torch_cnn(stack.repository().root(), "e2e-strict")?;
    let job = start(stack, "e2e-strict", &replaced(&text, ">= 0.85", "> 1")?)?;
    stack.completes(&job, LIMIT)?;
    ensure!(stack.versions_of("fashion")?.iter().all(|version| version.job != job), "{job} registered a version");
    let reason = stack.unregistered(&job)?;
    let unmet = &reason["unmet"][0];
    ensure!(reason["because"] == "gateRefused" && unmet["metric"] == "accuracy" && unmet["bound"] == "> 1", "{reason}");
    Ok(())
}

/// Declares and adds the squares, unless another test has.
fn add_squares(stack: &Stack) -> Result<()> {
    stack.repository().pull()?;
    if stack.repository().root().join(squares::DECLARATION).exists() {
        return Ok(());
    }
    stack.change("Declare the squares", |root| {
        squares::declare(root)?;
        stack.add_dataset(squares::DECLARATION)
    })
}

/// Starts an experiment with one trial, whose workers request little, so that both run on two cores.
fn start(stack: &Stack, name: &str, text: &str) -> Result<String> {
    let proposed = stack.start_as_written(name, &replaced(text, "cpu: \"1\"", "cpu: 200m")?)?;
    ensure!(proposed.jobs.len() == 1, "{:?}", proposed.jobs);
    Ok(proposed.jobs[0].clone())
}

fn registered_once(stack: &Stack, model: &str, job: &str) -> Result<()> {
    let versions = stack.versions_of(model)?;
    let of: Vec<_> = versions.iter().filter(|version| version.job == job).collect();
    ensure!(of.len() == 1 && of[0].status == "READY" && of[0].digest.starts_with("sha256:"), "{job}: {versions:#?}");
    Ok(())
}

/// Promotes the best version of a model, and asks for an answer through the Gateway once it is in service.
fn promoted_answer(stack: &Stack, model: &str, request: &Value) -> Result<Value> {
    let promoted = stack.slipway(&["promote", model])?;
    stack.merge(promoted["pullRequest"]["number"].as_u64().context("no pull request to promote")?)?;
    let url = format!("{}/v2/models/{model}/infer", stack.url("models"));
    let (answer, _) = until(&format!("{model} is in service"), Duration::from_secs(180), || {
        let answer =
            stack.http().post(&url).header("Content-Type", "application/json").body(request.to_string()).send()?;
        let (status, text) = (answer.status(), answer.text()?);
        Ok(if status.is_success() { Ok(serde_json::from_str(&text)?) } else { Err(format!("{status}: {text}")) })
    })?;
    Ok(answer)
}
