// Package guest is what the policies of all worlds have in common.
package guest

import (
	"fmt"
	"runtime"
	"strings"

	"carrara.dev/policy"
)

var options policy.Options

// Configure takes the options of the program's policy.
func Configure(given []policy.Option) {
	options = policy.Options{Check: policy.NoSettings}
	for _, option := range given {
		option(&options)
	}
}

// Check judges settings; a panic refuses them.
func Check(settings string) (wrong []policy.SettingsError) {
	if options.Check == nil {
		options.Check = policy.NoSettings
	}
	defer Recover(func(error) {
		wrong = []policy.SettingsError{{
			Line: 1, Column: 1, Message: policy.PolicyErrorMessage, Hint: policy.PolicyErrorHint,
		}}
	})
	return options.Check(settings)
}

// Recover, deferred, logs a panic and tells of it.
func Recover(failed func(error)) {
	if cause := recover(); cause != nil {
		err := fmt.Errorf("panic: %v%s", cause, place())
		policy.LogFailure(err)
		failed(err)
	}
}

// place is where the policy panicked: the first function below the panic that is not the runtime's.
func place() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicked := false
	for {
		frame, more := frames.Next()
		ours := !strings.HasPrefix(frame.Function, "runtime.")
		if panicked && ours {
			return fmt.Sprintf(" (%s:%d)", frame.File, frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}

// Denied is the denial for a policy that failed.
func Denied() policy.Decision {
	return policy.Deny(policy.PolicyError, policy.PolicyErrorMessage).WithHint(policy.PolicyErrorHint)
}
