package guest

import (
	"carrara.dev/policy"
	"carrara.dev/policy/internal/abi"
)

// Sizes of records in memory; list items and options need them.
const (
	FactSize      = 24
	RoleSize      = 32
	PrincipalSize = 24
)

// The cases of value.
const (
	text = iota
	number
	truth
	bytes
	texts
)

// Context reads a context.
func Context(r *abi.Reader) policy.Context {
	return policy.Context{Settings: r.Text(), Now: r.U64(), Revision: r.U64(), Facts: Facts(r)}
}

// Facts reads a list of facts.
func Facts(r *abi.Reader) []policy.Fact {
	return abi.List(r, FactSize, func(r *abi.Reader) policy.Fact {
		return policy.Fact{Name: r.Text(), Value: value(r)}
	})
}

func value(r *abi.Reader) any {
	which, value := r.Case(8, 8)
	switch which {
	case text:
		return value.Text()
	case number:
		return value.U64()
	case truth:
		return value.Truth()
	case bytes:
		return value.Bytes()
	case texts:
		return value.Texts()
	}
	return nil
}

// Principal reads a principal.
func Principal(r *abi.Reader) policy.Principal {
	return policy.Principal{
		Name:              r.Text(),
		CertificateSHA256: r.Bytes(),
		Roles: abi.List(r, RoleSize, func(r *abi.Reader) policy.Role {
			return policy.Role{Name: r.Text(), ResourceType: r.Text(), ResourceNames: r.Texts(), Actions: r.Texts()}
		}),
	}
}

// Decision writes a decision and gives its address.
func Decision(decision policy.Decision) uint32 {
	const size = 40
	address := abi.Allocate(size)
	w := abi.Write(address)
	denial, denied := decision.Denial()
	if !denied {
		w.Byte(0)
		return address
	}
	w.Byte(1)
	w.Text(denial.Code)
	w.Text(denial.Message)
	w.Hint(denial.Hint)
	abi.WriteList(w, 8, denial.Resources, (*abi.Writer).Text)
	return address
}

//go:wasmexport carrara:policy/configuration@1.0.0#check
func check(settings, length uint32) uint32 {
	const size, errorSize = 12, 28
	text := abi.TextAt(settings, length)
	wrong := Check(text)
	address := abi.Allocate(size)
	w := abi.Write(address)
	if len(wrong) == 0 {
		w.Byte(0)
		return address
	}
	w.Byte(1)
	abi.WriteList(w, errorSize, wrong, func(w *abi.Writer, wrong policy.SettingsError) {
		w.U32(wrong.Line)
		w.U32(wrong.Column)
		w.Text(wrong.Message)
		w.Hint(wrong.Hint)
	})
	return address
}
