// Command storage gives a claim of the default class a volume: a folder of the one node there is. It takes the folder away
// with the claim.
//
// An existing provisioner would do better; none could be had as a Go module.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	provisioner   = "slipway.dev/testbed-storage"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// retry is how soon what failed is tried again.
	retry = 5 * time.Second
)

// storage makes and removes volumes.
type storage struct {
	client client.CoreV1Interface
	root   string
	class  string
}

func main() {
	root := flag.String("root", "/run/testbed/volumes", "folder of the node, mounted at the same path here")
	class := flag.String("class", "standard", "storage class whose claims are served")
	flag.Parse()

	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	api, err := client.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	s := &storage{client: api, root: *root, class: *class}
	go watch(s, "persistentvolumes", &core.PersistentVolume{}, s.release)
	watch(s, "persistentvolumeclaims", &core.PersistentVolumeClaim{}, s.serve)
}

// watch calls act for each object that is there, appears or changes, and for all of them now and then.
func watch[T runtime.Object](s *storage, resource string, kind T, act func(T) error) {
	try := func(object any) {
		if object, ok := object.(T); ok {
			if err := act(object); err != nil {
				log.Print(err)
			}
		}
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(s.client.RESTClient(), resource, meta.NamespaceAll, fields.Everything()),
		ObjectType:    kind,
		ResyncPeriod:  retry,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    try,
			UpdateFunc: func(_, object any) { try(object) },
		},
	})
	controller.Run(context.Background().Done())
}

// serve makes the volume of a claim that has none.
func (s *storage) serve(claim *core.PersistentVolumeClaim) error {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != s.class ||
		claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return nil
	}
	name := "pvc-" + string(claim.UID)
	folder := filepath.Join(s.root, name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	// whoever a pod runs as may write; the mode above was cut by the umask
	if err := os.Chmod(folder, 0o777); err != nil {
		return err
	}
	kind := core.HostPathDirectory
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisioner}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      claim.Spec.Resources.Requests,
			ClaimRef:                      &core.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			StorageClassName:              s.class,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: folder, Type: &kind}},
		},
	}
	_, err := s.client.PersistentVolumes().Create(context.Background(), volume, meta.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// release removes a volume whose claim is gone, and what is in it.
func (s *storage) release(volume *core.PersistentVolume) error {
	if volume.Annotations[provisionedBy] != provisioner || volume.Status.Phase != core.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != core.PersistentVolumeReclaimDelete {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(s.root, volume.Name)); err != nil {
		return err
	}
	err := s.client.PersistentVolumes().Delete(context.Background(), volume.Name, meta.DeleteOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	return err
}
