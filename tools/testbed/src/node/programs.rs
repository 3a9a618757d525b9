//! The programs of a node and how each is started.

use std::net::SocketAddr;
use std::process::Command;

use super::mounts::CACHE;

/// A long-lived program of the node.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its file name, and the name of its log.
    pub(crate) name: &'static str,
    arguments: &'static str,
    /// Settings of Go's memory manager and the like.
    environment: &'static [(&'static str, &'static str)],
    /// The address of the program that this one needs; it is started once something listens there.
    pub(super) after: Option<SocketAddr>,
}

const fn local(port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
}

/// Everything that runs on the node outside of pods, in the order of starting.
pub(crate) const PROGRAMS: [Program; 9] = [
    Program {
        name: "etcd",
        // what a test writes need not survive a power cut
        arguments: "--name node --data-dir /run/testbed/etcd --unsafe-no-fsync --log-level warn \
            --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
            --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
            --initial-cluster node=http://127.0.0.1:2380",
        environment: &[],
        after: None,
    },
    Program {
        name: "containerd",
        arguments: "--config /run/etc/containerd.toml --log-level warn",
        environment: &[],
        after: None,
    },
    Program { name: "registry", arguments: "serve /run/etc/registry.yaml", environment: &[], after: None },
    Program {
        name: "gitserve",
        arguments: "-addr 10.200.0.1:3000 -tls-addr 10.200.0.1:443 -root /run/testbed/git \
            -authority /run/testbed-cache/authority -hosts github.com,github.test \
            -forward github.test=/run/testbed/github.sock",
        environment: &[],
        after: None,
    },
    Program {
        name: "kube-apiserver",
        arguments: "--advertise-address 10.200.0.1 --secure-port 6443 --etcd-servers http://127.0.0.1:2379 \
            --service-cluster-ip-range 10.96.0.0/16 --allow-privileged=true \
            --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
            --client-ca-file /run/testbed/etc/pki/ca.crt \
            --tls-cert-file /run/testbed/etc/pki/apiserver.crt --tls-private-key-file /run/testbed/etc/pki/apiserver.key \
            --kubelet-client-certificate /run/testbed/etc/pki/apiserver-kubelet-client.crt \
            --kubelet-client-key /run/testbed/etc/pki/apiserver-kubelet-client.key --kubelet-preferred-address-types InternalIP \
            --service-account-issuer https://kubernetes.default.svc.cluster.local \
            --service-account-key-file /run/testbed/etc/pki/sa.pub --service-account-signing-key-file /run/testbed/etc/pki/sa.key \
            --proxy-client-cert-file /run/testbed/etc/pki/front-proxy-client.crt \
            --proxy-client-key-file /run/testbed/etc/pki/front-proxy-client.key \
            --requestheader-client-ca-file /run/testbed/etc/pki/front-proxy-ca.crt \
            --requestheader-allowed-names front-proxy-client --requestheader-username-headers X-Remote-User \
            --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- --v 1",
        // A sixth less memory for a second or two of processor time.
        environment: &[("GOGC", "50")],
        after: local(2379),
    },
    Program {
        name: "kube-controller-manager",
        arguments: "--kubeconfig /run/testbed/etc/controller-manager.conf \
            --authentication-kubeconfig /run/testbed/etc/controller-manager.conf \
            --authorization-kubeconfig /run/testbed/etc/controller-manager.conf \
            --leader-elect=false --use-service-account-credentials=true --root-ca-file /run/testbed/etc/pki/ca.crt \
            --service-account-private-key-file /run/testbed/etc/pki/sa.key \
            --cluster-signing-cert-file /run/testbed/etc/pki/ca.crt --cluster-signing-key-file /run/testbed/etc/pki/ca.key \
            --client-ca-file /run/testbed/etc/pki/ca.crt \
            --requestheader-client-ca-file /run/testbed/etc/pki/front-proxy-ca.crt --v 1",
        environment: &[],
        after: local(6443),
    },
    Program {
        name: "kube-scheduler",
        arguments: "--kubeconfig /run/testbed/etc/scheduler.conf --authentication-kubeconfig /run/testbed/etc/scheduler.conf \
            --authorization-kubeconfig /run/testbed/etc/scheduler.conf --leader-elect=false --v 1",
        environment: &[],
        after: local(6443),
    },
    Program {
        name: "kubelet",
        arguments: "--config /run/etc/kubelet.yaml --kubeconfig /run/testbed/etc/kubelet.conf --root-dir /run/testbed/kubelet \
            --cert-dir /run/testbed/kubelet/pki --hostname-override slipway --node-ip 10.200.0.1 --v 1",
        environment: &[],
        after: local(6443),
    },
    Program {
        name: "kube-proxy",
        arguments: "--config /run/etc/kube-proxy.yaml --v 1",
        environment: &[],
        after: local(6443),
    },
];

impl Program {
    pub(super) fn command(&self) -> Command {
        let mut command = command(self.name);
        command.args(self.arguments.split_ascii_whitespace()).envs(self.environment.iter().copied());
        command
    }
}

/// A program without the caller's environment: no proxy, kubeconfig or locale changes what the node does.
pub(super) fn command(name: &str) -> Command {
    let mut command = Command::new(if name == "containerd" { name.to_owned() } else { format!("{CACHE}/bin/{name}") });
    command.env_clear();
    command.env("PATH", format!("{CACHE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    command.env("HOME", "/tmp");
    command.current_dir("/");
    command
}
