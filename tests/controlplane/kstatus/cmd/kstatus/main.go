// Command kstatus prints what kstatus, by which Flux waits, says of the object (JSON) on its standard input.
package main

import (
	"fmt"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	log.SetFlags(0)
	var object unstructured.Unstructured
	text, err := os.ReadFile("/dev/stdin")
	if err == nil {
		err = object.UnmarshalJSON(text)
	}
	if err != nil {
		log.Fatal(err)
	}
	result, err := status.Compute(&object)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", result.Status, result.Message)
}
