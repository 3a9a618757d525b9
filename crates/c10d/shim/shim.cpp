// A C surface over PyTorch's c10d: TCPStore, ProcessGroupGloo and the DDP Reducer.
//
// Every entry returns null on success or a malloc'ed message, to be given back to c10d_free_message; no C++ exception
// leaves this file. Tensors are borrowed: `at::Tensor*` as tch holds them. Counted references keep alive what a handle needs,
// so handles may be freed in any order.
//
// c10d's header for gloo includes gloo's own headers, which PyTorch does not ship; gloo_min/ holds opaque stand-ins.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <memory>
#include <string>

#include "guard.h"

using Milliseconds = std::chrono::milliseconds;
using StoreHandle = c10::intrusive_ptr<c10d::Store>;

struct Group {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

struct Reducer {
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger> logger;
};

// Size of one coalesced broadcast, as torch.nn.parallel.DistributedDataParallel uses.
constexpr size_t kBroadcastBytes = 250 * 1024 * 1024;

extern "C" {

void c10d_free_message(char* message) { free(message); }

char* c10d_store_new(const char* host, uint16_t port, bool is_server, int world_size, bool wait_for_workers,
                     int64_t timeout_ms, StoreHandle** out, uint16_t* port_out) {
  GUARD({
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_server;
    options.numWorkers = world_size;
    options.waitWorkers = wait_for_workers;
    options.timeout = Milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    *port_out = store->getPort();
    *out = new StoreHandle(std::move(store));
  })
}

char* c10d_store_free(StoreHandle* store) { GUARD(delete store) }

char* c10d_group_new(StoreHandle* store, int rank, int world_size, const char* bind_host, int64_t timeout_ms, Group** out) {
  GUARD({
    c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> options;
    if (*bind_host == '\0') {
      options = c10d::ProcessGroupGloo::Options::create_default(Milliseconds(timeout_ms));
    } else {
      options = c10d::ProcessGroupGloo::Options::create(Milliseconds(timeout_ms));
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(bind_host));
    }
    auto prefixed = c10::make_intrusive<c10d::PrefixStore>("default_pg", *store);
    auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(prefixed, rank, world_size, options);
    gloo->setSequenceNumberForGroup();
    auto handle = std::make_unique<Group>();
    handle->group = c10::make_intrusive<c10d::ProcessGroup>(prefixed, rank, world_size);
    handle->group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
    handle->group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO,
                              c10::intrusive_ptr<c10d::Backend>(gloo));
    handle->group->setGroupName("0");
    *out = handle.release();
  })
}

char* c10d_group_free(Group* group) { GUARD(delete group) }

char* c10d_all_reduce(Group* group, at::Tensor* tensor, int op) {
  GUARD({
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = static_cast<c10d::ReduceOp::RedOpType>(op);
    group->group->allreduce(tensors, options)->wait();
  })
}

char* c10d_broadcast(Group* group, at::Tensor* tensor, int root) {
  GUARD({
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group->group->broadcast(tensors, options)->wait();
  })
}

char* c10d_barrier(Group* group) {
  GUARD({
    c10d::BarrierOptions options;
    group->group->barrier(options)->wait();
  })
}

// As torch/nn/parallel/distributed.py builds it: shapes are checked across ranks, rank 0's values are sent to all, and the
// first iteration runs with one bucket, after which buckets are rebuilt in the order in which gradients arrived.
char* c10d_reducer_new(Group* group, at::Tensor* const* tensors, const char* const* names, size_t count,
                       int64_t bucket_bytes, int64_t first_bucket_bytes, Reducer** out) {
  GUARD({
    std::vector<at::Tensor> parameters;
    std::unordered_map<size_t, std::string> parameter_names;
    for (size_t i = 0; i < count; i++) {
      parameters.push_back(*tensors[i]);
      parameter_names[i] = names[i];
    }
    c10d::verify_params_across_processes(group->group, parameters, std::nullopt);
    {
      at::NoGradGuard no_grad;
      std::vector<at::Tensor> values;
      for (auto& parameter : parameters) values.push_back(parameter.detach());
      c10d::broadcast_coalesced(group->group, values, kBroadcastBytes, 0);
    }
    std::vector<bool> sparse(count, false);
    std::vector<size_t> limits{static_cast<size_t>(std::numeric_limits<int64_t>::max())};
    auto [buckets, bucket_limits] = c10d::compute_bucket_assignment_by_size(parameters, limits, sparse);
    std::reverse(buckets.begin(), buckets.end());
    auto handle = std::make_unique<Reducer>();
    handle->reducer = std::make_shared<c10d::Reducer>(
        parameters, buckets, group->group, sparse, bucket_bytes, /*find_unused_parameters=*/false,
        /*gradient_as_bucket_view=*/false, parameter_names, first_bucket_bytes, /*skip_all_reduce_unused_params=*/false,
        /*use_python_reducer=*/false, std::vector<int64_t>{first_bucket_bytes, bucket_bytes}, /*batched_grad_copy=*/false);
    handle->logger = std::make_shared<c10d::Logger>(handle->reducer);
    handle->reducer->set_logger(handle->logger);
    handle->logger->set_construction_data_and_log("slipway", {}, -1, false, false, false);
    *out = handle.release();
  })
}

char* c10d_reducer_free(Reducer* reducer) { GUARD(delete reducer) }

char* c10d_reducer_prepare_forward(Reducer* reducer) {
  GUARD({
    reducer->logger->set_runtime_stats_and_log();
    reducer->reducer->prepare_for_forward();
    reducer->reducer->rebuild_buckets();
  })
}

char* c10d_reducer_prepare_backward(Reducer* reducer) { GUARD(reducer->reducer->prepare_for_backward({})) }

// torch::optim's zero_grad() detaches gradients first, which throws while they are views of a bucket.
char* c10d_zero_grad(at::Tensor* const* tensors, size_t count) {
  GUARD(for (size_t i = 0; i < count; i++) tensors[i]->mutable_grad().reset())
}

}  // extern "C"
