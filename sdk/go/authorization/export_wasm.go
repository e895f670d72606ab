package authorization

import (
	"carrara.dev/policy/internal/abi"
	"carrara.dev/policy/internal/guest"
)

//go:wasmexport carrara:policy/role-authorizer@1.0.0#authorize
func export(request uint32) uint32 {
	r := abi.Read(request)
	return guest.Decision(answer(Request{
		Context:       guest.Context(r),
		Principal:     guest.Principal(r),
		Action:        r.Text(),
		ResourceType:  r.Text(),
		ResourceNames: r.Texts(),
	}))
}
