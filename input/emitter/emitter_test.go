package emitter

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestItCannotBeConfigured(t *testing.T) {
	_, err := plugintest.TryInput(Def(), plugintest.Env(t), "ring_buffer_size", "0")
	if err == nil || !strings.Contains(err.Error(), "for internal use") {
		t.Errorf("the error is %v", err)
	}
}
