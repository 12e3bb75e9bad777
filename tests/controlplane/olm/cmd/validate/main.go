// Command validate runs the validators of operator-framework over an OLM bundle, those that OperatorHub's pipelines run.
//
// It prints one JSON list of findings, [{"validator", "level", "field", "detail"}, …], and exits 0 where the list is empty,
// 1 where it is not, and 2 where the bundle cannot be read. operator-verify, the framework's own command, always exits 0.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	"github.com/operator-framework/api/pkg/validation/errors"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

type validator struct {
	name string
	rule interfaces.Validator
}

var validators = []validator{
	{"ClusterServiceVersion", validation.ClusterServiceVersionValidator},
	{"CustomResourceDefinition", validation.CustomResourceDefinitionValidator},
	{"Bundle", validation.BundleValidator},
	{"Object", validation.ObjectValidator},
	{"OperatorHubV2", validation.OperatorHubV2Validator},
	{"StandardCapabilities", validation.StandardCapabilitiesValidator},
	{"StandardCategories", validation.StandardCategoriesValidator},
	{"GoodPractices", validation.GoodPracticesValidator},
	{"AlphaDeprecatedAPIs", validation.AlphaDeprecatedAPIsValidator},
	{"CommunityOperator", validation.CommunityOperatorValidator},
}

type finding struct {
	Validator string `json:"validator"`
	Level     string `json:"level"`
	Field     string `json:"field"`
	Detail    string `json:"detail"`
}

func main() {
	if len(os.Args) != 2 && !(len(os.Args) == 3 && os.Args[2] == "multiarch") {
		fmt.Fprintln(os.Stderr, "usage: validate BUNDLE-FOLDER [multiarch]")
		os.Exit(2)
	}
	if len(os.Args) == 3 {
		// It runs `docker pull` and `docker manifest inspect` on each image.
		validators = append(validators, validator{"MultipleArchitectures", validation.MultipleArchitecturesValidator})
	}
	bundle, err := manifests.GetBundleFromDir(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	found := []finding{}
	for _, validator := range validators {
		for _, result := range validator.rule.Validate(bundle) {
			for _, list := range [][]errors.Error{result.Errors, result.Warnings} {
				for _, one := range list {
					found = append(found, finding{validator.name, string(one.Level), one.Field, one.Detail})
				}
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}
