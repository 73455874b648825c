package dacapo

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"dacapo.dev/sdk/internal/contract"
)

// LevelTrace is below [slog.LevelDebug].
const LevelTrace = slog.LevelDebug - 4

// Log returns a logger that writes to the host's log. A replay does not write lines again.
func (ctx *effects) Log() *slog.Logger { return newLogger(ctx.host) }

// Log returns a logger that writes to the host's log.
func (ctx *outside) Log() *slog.Logger { return newLogger(ctx.to) }

func newLogger(host contract.Host) *slog.Logger {
	line := new(line)
	attributes := slog.NewTextHandler(&line.attributes, &slog.HandlerOptions{ReplaceAttr: attributesOnly})
	return slog.New(handler{host, line, attributes})
}

// handler passes lines of the message and the attributes to the host, which records time and level itself.
type handler struct {
	host       contract.Host
	line       *line
	attributes slog.Handler
}

// line is the buffer for the attributes of one record.
type line struct {
	mutex      sync.Mutex
	attributes strings.Builder
}

func attributesOnly(groups []string, attribute slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch attribute.Key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey:
			return slog.Attr{}
		}
	}
	return attribute
}

func (h handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	h.line.mutex.Lock()
	defer h.line.mutex.Unlock()
	h.line.attributes.Reset()
	if err := h.attributes.Handle(ctx, record); err != nil {
		return err
	}
	h.host.Log(levelOf(record.Level), strings.TrimSpace(record.Message+" "+h.line.attributes.String()))
	return nil
}

func (h handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return handler{h.host, h.line, h.attributes.WithAttrs(attributes)}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.host, h.line, h.attributes.WithGroup(name)}
}

func levelOf(level slog.Level) contract.Level {
	switch {
	case level < slog.LevelDebug:
		return contract.LevelTrace
	case level < slog.LevelInfo:
		return contract.LevelDebug
	case level < slog.LevelWarn:
		return contract.LevelInfo
	case level < slog.LevelError:
		return contract.LevelWarn
	default:
		return contract.LevelError
	}
}
