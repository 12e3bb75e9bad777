// The annotations of the sync-waves pack as a controller written by hand with controller-runtime: unstructured objects, as
// the jobs' Go types belong to another project, a cache without managedFields, and 16 workers. No leader election.
package main

import (
	"context"
	"maps"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	syncWave  = "argocd.argoproj.io/sync-wave"
	complete  = "mlops.dev/wave-complete"
	completed = "mlops.dev/completion-time"
	failed    = "mlops.dev/wave-failed"
	failure   = "mlops.dev/failure-time"
	workers   = 16
)

var jobs = schema.GroupVersionKind{Group: "mlops.mlops.dev", Version: "v1alpha1", Kind: "NotebookValidationJob"}

type reconciler struct{ client.Client }

// Reconcile says on a job which wave it has completed or failed, and when.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	job := &unstructured.Unstructured{}
	job.SetGroupVersionKind(jobs)
	if err := r.Get(ctx, request.NamespacedName, job); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := job.GetAnnotations()
	wave := before[syncWave]
	phase, _, _ := unstructured.NestedString(job.Object, "status", "phase")
	when, _, _ := unstructured.NestedString(job.Object, "status", "completionTime")
	if wave == "" || (phase != "Succeeded" && phase != "Failed") {
		return ctrl.Result{}, nil
	}
	after := maps.Clone(before)
	for _, name := range []string{complete, completed, failed, failure} {
		delete(after, name)
	}
	if phase == "Succeeded" {
		after[complete], after[completed] = wave, when
	} else {
		after[failed], after[failure] = wave, when
	}
	if maps.Equal(before, after) {
		return ctrl.Result{}, nil
	}
	patch := client.MergeFrom(job.DeepCopy())
	job.SetAnnotations(after)
	return ctrl.Result{}, client.IgnoreNotFound(r.Patch(ctx, job, patch))
}

func run(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit of the client's own
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Cache:   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics: server.Options{BindAddress: "127.0.0.1:0"},
	})
	if err != nil {
		return err
	}
	job := &unstructured.Unstructured{}
	job.SetGroupVersionKind(jobs)
	err = ctrl.NewControllerManagedBy(manager).
		Named("waves").
		For(job).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	log.SetLogger(zap.New())
	if err := run(os.Args[1]); err != nil {
		log.Log.Error(err, "cannot run")
		os.Exit(1)
	}
}
