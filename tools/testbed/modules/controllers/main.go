// Command trainer-config prints, as JSON, what Kubeflow Trainer's controller makes of a configuration file: decoded strictly, with its
// defaults, validated. It fails as the controller would at its start.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/kubeflow/trainer/v2/pkg/apis/config/v1alpha1"
	"github.com/kubeflow/trainer/v2/pkg/config"
	"k8s.io/apimachinery/pkg/runtime"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trainer-config FILE")
		os.Exit(2)
	}
	if err := show(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(file string) error {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	_, configuration, err := config.Load(scheme, file)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(configuration)
}
