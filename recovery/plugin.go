package recovery

import (
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// pluginPatience is how long a plugin's program may take to wrap a key. Nobody
// is asked then, so that a gateway can do it: what needs a person is opening.
const pluginPatience = 30 * time.Second

// WrapEpoch is crypt.WrapEpoch that takes recipients of age plugins, too, and
// runs their programs, age-plugin-NAME in the PATH. ErrUnavailable names one
// that is not there, fails or hangs.
func WrapEpoch(key crypt.EpochKey, epoch uint32, store cairn.StoreID, recipients []string, sign crypt.SigningKey) ([]byte, error) {
	return crypt.Plugins(pluginRecipient).WrapEpoch(key, epoch, store, recipients, sign)
}

// CheckRecipients proves that files can be made for all of them together, as the
// kit is: each can be read, its plugin is at hand and works, and age takes them
// side by side.
func CheckRecipients(texts []string) error {
	to, err := ageRecipients(texts)
	if err != nil {
		return err
	}
	w, err := age.Encrypt(io.Discard, to...)
	if err == nil {
		err = w.Close()
	}
	return recipientsError(err)
}

// recipientsError says what an error of age.Encrypt means; what a plugin said is
// a class already.
func recipientsError(err error) error {
	if err == nil || cairn.Class(err) != nil {
		return err
	}
	return fmt.Errorf("the recipients do not go together: %v: %w", err, cairn.ErrInvalid)
}

// pluginRecipient is r by its plugin.
func pluginRecipient(r crypt.Recipient) (age.Recipient, error) {
	p, err := plugin.NewRecipient(r.String(), &plugin.ClientUI{})
	if err != nil {
		return nil, fmt.Errorf("recipient %v: %v: %w", r, err, cairn.ErrInvalid)
	}
	return timely{p, pluginPatience}, nil
}

// timely bounds how long a plugin may take.
type timely struct {
	*plugin.Recipient
	patience time.Duration
}

// Wrap is WrapWithLabels without the labels.
func (t timely) Wrap(key []byte) ([]*age.Stanza, error) {
	stanzas, _, err := t.WrapWithLabels(key)
	return stanzas, err
}

// WrapWithLabels runs the plugin. age gives no way to end its program: one that
// hangs is left standing with the goroutine that waits for it, until it ends or
// this process does, and the caller goes on with an error.
func (t timely) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	type wrapped struct {
		stanzas []*age.Stanza
		labels  []string
		err     error
	}
	key = append([]byte(nil), key...) // age wipes its own when the caller has gone on
	done := make(chan wrapped, 1)
	go func() {
		stanzas, labels, err := t.Recipient.WrapWithLabels(key)
		clear(key)
		done <- wrapped{stanzas, labels, err}
	}()
	late := time.NewTimer(t.patience)
	defer late.Stop()
	select {
	case w := <-done:
		return w.stanzas, w.labels, pluginError(t.Name(), w.err)
	case <-late.C:
		return nil, nil, fmt.Errorf("age-plugin-%s did not answer within %v: %w", t.Name(), t.patience, cairn.ErrUnavailable)
	}
}

// pluginError says what is to be done.
func pluginError(name string, err error) error {
	var missing *plugin.NotFoundError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return fmt.Errorf("the program age-plugin-%s is not in the PATH of this process; install it on this machine: %w", name, cairn.ErrUnavailable)
	}
	return fmt.Errorf("age-plugin-%s: %v: %w", name, err, cairn.ErrUnavailable)
}

// plugin is the identity in a line AGE-PLUGIN-NAME-1...
func (a Ask) plugin(line string) (age.Identity, error) {
	id, err := plugin.NewIdentity(line, a.ui())
	if err != nil {
		return nil, err // it may quote the line: the caller does not
	}
	return opener{id}, nil
}

// opener says what an error of a plugin means. How long it takes is up to the
// person whom it asks, who can interrupt both.
type opener struct{ id *plugin.Identity }

// Unwrap has the plugin open a key.
func (o opener) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	key, err := o.id.Unwrap(stanzas)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, err
	}
	return key, pluginError(o.id.Name(), err)
}

// ui is a in age's words.
func (a Ask) ui() *plugin.ClientUI {
	ui := &plugin.ClientUI{RequestValue: a.Value, Confirm: a.Confirm}
	if a.Message != nil {
		ui.DisplayMessage = func(name, text string) error { a.Message(name, text); return nil }
		ui.WaitTimer = func(name string) { a.Message(name, "it takes its time; does it wait for you?") }
	}
	return ui
}
