//! The methods of the service.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::contents::{listed, raw};
use super::inference::grpc_inference_service_server::GrpcInferenceService;
use super::inference::infer_parameter::ParameterChoice;
use super::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::inference::model_infer_response::InferOutputTensor;
use super::inference::model_metadata_response::TensorMetadata;
use super::inference::repository_index_response::ModelIndex;
use super::inference::{
    InferBatchStatistics, InferStatistics, MemoryUsage, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ModelStatistics, ModelStatisticsRequest,
    ModelStatisticsResponse, ModelStreamInferResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse, StatisticDuration,
};
use crate::address::Address;
use crate::ask::Asked;
use crate::body::Part;
use crate::exchange::{Answered, counted};
use crate::infer::{Requested, checked, encoded, place, shaped, wanted};
use crate::loaded::Loaded;
use crate::refusal::Refusal;
use crate::routes::EXTENSIONS;
use crate::statistics::Durations;
use crate::tensor::Array;

/// The service at one address.
pub(super) struct Service(pub(super) Address);

type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.0.app.is_ready().is_ok() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "slipway-server".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = self.0.find(&name, given(&version)).await.is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.0.find(&name, given(&version)).await?;
        let mut versions = vec![model.version.clone()];
        if version.is_empty() {
            versions = self.0.versions().await.0.remove(&name).unwrap_or(versions);
        }
        let tensor = |spec: &slipway_signature::TensorSpec| TensorMetadata {
            name: spec.name.clone(),
            datatype: spec.datatype.to_string(),
            shape: spec.shape.clone(),
        };
        let inputs = model.interface.inputs.iter().map(tensor).collect();
        let outputs = model.interface.offered().map(tensor).collect();
        let platform = model.interface.platform.to_owned();
        Ok(Response::new(ModelMetadataResponse { name, versions, platform, inputs, outputs }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let answer = infer(&self.0, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    type ModelStreamInferStream = Answers;

    /// Answers each request of a stream in its turn. A refusal is an answer too, and does not end the stream.
    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let address = self.0.clone();
        // held as long as the stream lasts
        let part = request.extensions().get::<Arc<Part>>().cloned();
        let answers = request.into_inner().then(move |request| {
            let (address, _part) = (address.clone(), part.clone());
            async move {
                let request = request?;
                let id = request.id.clone();
                Ok(match infer(&address, request).await {
                    Ok(answer) => {
                        ModelStreamInferResponse { error_message: String::new(), infer_response: Some(answer) }
                    }
                    Err(refusal) => ModelStreamInferResponse {
                        error_message: refusal.message,
                        infer_response: Some(ModelInferResponse { id, ..Default::default() }),
                    },
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let models = self.0.counted(&name, given(&version)).await?;
        let model_stats = models.iter().map(|model| statistics(model)).collect();
        Ok(Response::new(ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let entries = self.0.index(request.into_inner().ready).await;
        let models = entries.into_iter().map(|entry| ModelIndex {
            name: entry.name,
            version: entry.version,
            state: entry.state.to_owned(),
            reason: entry.reason.to_owned(),
        });
        Ok(Response::new(RepositoryIndexResponse { models: models.collect() }))
    }
}

/// A version, if one was given.
fn given(version: &str) -> Option<&str> {
    (!version.is_empty()).then_some(version)
}

/// Answers a request for an inference, within the same bounds as one over HTTP.
pub(super) async fn infer(address: &Address, request: ModelInferRequest) -> Result<ModelInferResponse, Refusal> {
    let metrics = address.app.metrics.clone();
    let answer = async {
        match address.find(&request.model_name, given(&request.model_version)).await {
            Ok(model) => {
                let answer = ask(address, &model, request).await;
                Answered::of(model, answer)
            }
            Err(refusal) => refusal.into(),
        }
    };
    counted(&metrics, answer).await
}

async fn ask(
    address: &Address,
    model: &Arc<Loaded>,
    request: ModelInferRequest,
) -> Result<(Arc<Loaded>, ModelInferResponse), Refusal> {
    let interface = &model.interface;
    let requested = request.outputs.iter().map(requested).collect::<Result<_, _>>()?;
    let wanted = wanted(interface, requested, true)?;
    let raws = request.raw_input_contents.len();
    if raws > 0 && raws != request.inputs.len() {
        let inputs = request.inputs.len();
        return Err(Refusal::request(format!("{raws} raw_input_contents for {inputs} inputs; expected one for each")));
    }
    let mut arrays = Vec::with_capacity(request.inputs.len());
    for (number, input) in request.inputs.iter().enumerate() {
        let InferInputTensor { name, datatype, shape, parameters, contents } = input;
        if parameters.contains_key("shared_memory_region") {
            return Err(Refusal::request("shared memory is not supported; send contents or raw_input_contents"));
        }
        let at = place(interface, name)?;
        // a negative size fits nothing
        let shape: Vec<u64> = shape.iter().map(|size| u64::try_from(*size).unwrap_or_default()).collect();
        let shape = shaped(interface, at, datatype, &shape)?;
        let datatype = interface.inputs[at].datatype;
        let elements = match (request.raw_input_contents.get(number), contents) {
            (Some(_), Some(_)) => {
                return Err(Refusal::request(format!("the input {name} has both contents and raw_input_contents")));
            }
            (Some(bytes), None) => raw(name, datatype, &shape, bytes)?,
            (None, Some(contents)) => listed(name, datatype, contents)?,
            (None, None) => {
                return Err(Refusal::request(format!("the input {name} has neither contents nor raw_input_contents")));
            }
        };
        arrays.push((at, Array { shape, elements }));
    }
    let (inputs, rows) = checked(interface, arrays)?;
    let (id, named) = (Some(request.id.as_str()).filter(|id| !id.is_empty()), !request.model_version.is_empty());
    let features = wanted.iter().any(|one| one.is_on_request(interface));
    let (model, outputs) = address.app.ask(model, Asked { id, inputs, rows, named, features }).await?;
    let mut answer = ModelInferResponse {
        model_name: model.name.clone(),
        model_version: model.version.clone(),
        id: request.id,
        ..Default::default()
    };
    for wanted in &wanted {
        let (spec, array) = wanted.of(&model.interface, &outputs)?;
        let (datatype, shape, bytes) = encoded(array, wanted.classes, &model);
        let name = spec.name.clone();
        answer.outputs.push(InferOutputTensor { name, datatype: datatype.to_owned(), shape, ..Default::default() });
        answer.raw_output_contents.push(bytes);
    }
    Ok((model, answer))
}

/// An output that is asked for.
fn requested(output: &InferRequestedOutputTensor) -> Result<Requested, Refusal> {
    let InferRequestedOutputTensor { name, parameters } = output;
    if parameters.contains_key("shared_memory_region") {
        return Err(Refusal::request("shared memory is not supported; outputs are given as raw_output_contents"));
    }
    let classes = parameters.get("classification").and_then(|parameter| parameter.parameter_choice.as_ref());
    let classes = match classes {
        Some(ParameterChoice::Int64Param(number)) => usize::try_from(*number).unwrap_or_default(),
        Some(ParameterChoice::Uint64Param(number)) => usize::try_from(*number).unwrap_or_default(),
        _ => 0,
    };
    Ok(Requested::of(name.clone(), classes))
}

fn statistics(model: &Loaded) -> ModelStatistics {
    let counts = model.statistics.counts();
    let of = |Durations { count, ns }: Durations| Some(StatisticDuration { count, ns });
    let batches = counts.batches.iter();
    ModelStatistics {
        name: model.name.clone(),
        version: model.version.clone(),
        last_inference: counts.last_inference,
        inference_count: counts.inferences,
        execution_count: counts.executions,
        inference_stats: Some(InferStatistics {
            success: of(counts.success),
            fail: of(counts.fail),
            queue: of(counts.queue),
            compute_input: of(counts.input),
            compute_infer: of(counts.infer),
            compute_output: of(counts.output),
        }),
        batch_stats: batches
            .map(|(rows, infer)| InferBatchStatistics { batch_size: *rows as u64, compute_infer: of(*infer) })
            .collect(),
        memory_usage: vec![MemoryUsage { r#type: "CPU".to_owned(), id: 0, byte_size: model.memory() }],
    }
}
