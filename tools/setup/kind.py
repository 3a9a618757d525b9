"""Builds kind from its Go module, for `make e2e CLUSTER=kind`: the version whose release notes list the node of clusters/local/kind.yaml."""

from programs import Program, build

# kind holds its version itself; this is for a commit between two versions.
KIND = Program("kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind/pkg/cmd/kind/version.gitCommit")

if __name__ == "__main__":
    build([KIND])
