// A C surface over PyTorch's c10d: TCPStore and ProcessGroupGloo.
//
// Every entry returns null on success or a message, as crates/shim has it; no C++ exception leaves this file. Tensors are
// borrowed: `at::Tensor*` as tch holds them. Counted references keep alive what a handle needs, so handles may be freed in any order.
//
// c10d's header for gloo includes gloo's own headers, which PyTorch does not ship; gloo_min/ holds opaque stand-ins.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <memory>
#include <string>

#include "guard.h"
#include "parameters.h"

using Milliseconds = std::chrono::milliseconds;
using StoreHandle = c10::intrusive_ptr<c10d::Store>;

struct Group {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

extern "C" {

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

char* c10d_store_set(StoreHandle* store, const char* key, const uint8_t* value, size_t length) {
  GUARD((*store)->set(key, std::vector<uint8_t>(value, value + length)))
}

// Waits for the key, as long as the store's time limit says.
char* c10d_store_get(StoreHandle* store, const char* key, uint8_t* value, size_t longest, size_t* length) {
  GUARD({
    auto found = (*store)->get(key);
    TORCH_CHECK(found.size() <= longest, "the value of ", key, " has ", found.size(), " bytes");
    std::copy(found.begin(), found.end(), value);
    *length = found.size();
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

// Sums floats that need not be a tensor's.
char* c10d_sum(Group* group, float* numbers, size_t count) {
  GUARD({
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{at::from_blob(numbers, {static_cast<int64_t>(count)}, at::kFloat)};
    group->group->allreduce(tensors, c10d::AllreduceOptions())->wait();
  })
}

// Copies the values of rank 0's parameters to all.
char* c10d_broadcast(Group* group, Parameters* parameters) {
  GUARD({
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{parameters->values};
    group->group->broadcast(tensors, c10d::BroadcastOptions())->wait();
  })
}

// Copies rank 0's bytes to all, which have as many.
char* c10d_broadcast_bytes(Group* group, uint8_t* bytes, size_t count) {
  GUARD({
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{at::from_blob(bytes, {static_cast<int64_t>(count)}, at::kByte)};
    group->group->broadcast(tensors, c10d::BroadcastOptions())->wait();
  })
}

char* c10d_barrier(Group* group) {
  GUARD({
    c10d::BarrierOptions options;
    group->group->barrier(options)->wait();
  })
}

}  // extern "C"
