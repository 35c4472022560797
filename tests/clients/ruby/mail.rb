# Ruby's mail, which is what Rails sends by.
require "mail"

delivery = { address: ENV["SMTP_HOST"], port: Integer(ENV["SMTP_PORT"]) }
case ENV["SMTP_TLS"]
when "never" then delivery.update(openssl_verify_mode: "none") # This version takes STARTTLS wherever it is offered.
when "require" then delivery.update(enable_starttls: true, openssl_verify_mode: "none")
end

mail = Mail.new(from: ENV["MAIL_FROM"], to: ENV["MAIL_TO"], subject: ENV["MAIL_SUBJECT"], body: "Hello from Ruby")
mail.delivery_method(:smtp, delivery.merge(return_response: true))
begin
  answer = mail.deliver!
  puts "accepted\t#{answer.string.strip}"
rescue Net::ProtocolError, OpenSSL::SSL::SSLError => error
  warn error.full_message(highlight: false)
  puts ["refused", error.message[0, 3], error.class, error.message.strip].join("\t")
end
